"""What a row of the benchmark hands on."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reading:
    """One figure; its target is found by the name of the row."""

    row: str
    value: float
    limit: str = ""
    """What the same machine did in the same run without us, in words."""
    limit_value: float | None = None
    """The same as a number, in the unit of the row."""
    note: str = ""
    ratio: float | None = None
    """To the baseline, where that was measured in turn."""


@dataclass
class Report:
    """All that a run has found."""

    is_judged: bool = True
    """Whether counts are those that targets are worded for."""
    readings: list[Reading] = field(default_factory=list)
    processor_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Per object, by what is done and by process."""
    series: dict[str, dict[str, float]] = field(default_factory=dict)
    """Further figures that belong together: traffic per object, megabytes by process."""

    def note(
        self,
        row: str,
        value: float,
        *,
        limit: str = "",
        limit_value: float | None = None,
        note: str = "",
        ratio: float | None = None,
    ) -> None:
        """Add a reading, and say so: a run is long."""
        self.readings.append(Reading(row, value, limit, limit_value, note, ratio))
        print(f"  {row}: {value:,.2f}{f' ({note})' if note else ''}", flush=True)

    def value(self, row: str) -> float | None:
        """That has been read, if it has."""
        return next((each.value for each in self.readings if each.row == row), None)
