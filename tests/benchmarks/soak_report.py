"""What a soak has shown: plots and a table for `docs/reliability.md`, and a complaint for whatever has grown."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pygal
from pygal.style import CleanStyle

from tests.benchmarks.four_processes import SERVICES
from tests.marked_pages import RELIABILITY, replace_between

_DOCS: Final = RELIABILITY.parent
_BEGIN, _END = "<!-- soak: written by make soak -->", "<!-- soak: end -->"
_WARM_UP: Final = 1 / 4
"""Of the run: caches, pools and what is kept for minutes fill."""
_MOST_GROWTH: Final = 1.1
_SLACK_MB: Final = 8.0
"""Allocators and the dead rows between two vacuums: what is so small may come and go."""


@dataclass(frozen=True)
class Sample:
    """Megabytes at one moment."""

    seconds: float
    memory: Mapping[str, float]
    """Resident, by process."""
    tables: Mapping[str, float]
    """With indexes, by table."""


@dataclass
class Soak:
    """What was seen in one run."""

    lives: int = 0
    left_over: int = 0
    samples: list[Sample] = field(default_factory=list)
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Seconds, by process."""

    def complaints(self) -> list[str]:
        """What has grown, or was left behind."""
        grown = [
            f"{name} grew from {first:.1f} to {last:.1f} MB"
            for name, (first, last) in self.growth().items()
            if last > first * _MOST_GROWTH + _SLACK_MB
        ]
        return grown + [f"{self.left_over} instances are left over"] * bool(self.left_over)

    def growth(self) -> dict[str, tuple[float, float]]:
        """Medians of the first and the last third after the warm-up: of a service's processes, of all tables."""
        counted = self.samples[int(len(self.samples) * _WARM_UP) :]
        third = max(1, len(counted) // 3)
        early, late = counted[:third], counted[-third:]
        found = {name: (_memory(early, name), _memory(late, name)) for name in SERVICES}
        return {**found, "all tables": (_tables(early), _tables(late))}

    def text(self) -> str:
        """The table."""
        minutes = self.samples[-1].seconds / 60
        rate = self.lives / self.samples[-1].seconds
        lines = [
            f"{self.lives:,} instances and bindings came, changed, went in {minutes:.0f} minutes, {rate:.1f}/s.",
            "",
            "| | MB at first | MB at last | seconds of CPU of each replica |",
            "|---|---|---|---|",
        ]
        for name, (first, last) in self.growth().items():
            shares = [f"{used:.0f}" for process, used in self.cpu.items() if process.partition("-")[0] == name]
            lines.append(f"| {name} | {first:.1f} | {last:.1f} | {', '.join(shares)} |")
        return "\n".join(lines) + "\n"


def write_page(soak: Soak) -> None:
    """Make the plots anew, and what stands between the markers of the page."""
    memory = {name: [each.memory[name] for each in soak.samples] for name in soak.samples[0].memory}
    largest = sorted(soak.samples[-1].tables, key=lambda name: -soak.samples[-1].tables[name])[:6]
    tables = {name: [each.tables.get(name, 0.0) for each in soak.samples] for name in largest}
    _plot("Resident memory of each process, MB", soak.samples, memory, _DOCS / "soak-memory.svg")
    _plot("The six largest tables, MB", soak.samples, tables, _DOCS / "soak-tables.svg")
    plots = "![Memory of the processes over half an hour](soak-memory.svg)\n\n![Size of the tables](soak-tables.svg)"
    replace_between(RELIABILITY, _BEGIN, _END, f"{soak.text()}\n{plots}\n")


def _plot(title: str, samples: Sequence[Sample], lines: Mapping[str, Sequence[float]], path: Path) -> None:
    chart = pygal.XY(
        title=title,
        x_title="minutes",
        show_dots=False,
        style=CleanStyle,
        width=900,
        height=420,
        range=(0, 1.2 * max(max(values) for values in lines.values())),
        # Nothing is fetched from anywhere when the page is looked at.
        js=(),
        no_prefix=True,
    )
    for name, values in lines.items():
        chart.add(name, [(sample.seconds / 60, round(value, 2)) for sample, value in zip(samples, values, strict=True)])
    path.write_bytes(chart.render())


def _memory(samples: Sequence[Sample], service: str) -> float:
    return statistics.median(
        sum(used for name, used in sample.memory.items() if name.partition("-")[0] == service) for sample in samples
    )


def _tables(samples: Sequence[Sample]) -> float:
    return statistics.median(sum(sample.tables.values()) for sample in samples)
