"""How many lines there were, by level; those that were folded count each. Read at a scrape."""

from collections.abc import Iterable
from typing import Final

from chandlery.process.logs.log_levels import LEVELS
from chandlery.telemetry.catalog.processes import LOG_LINES
from chandlery.telemetry.metrics import Metrics, Sample

counts: Final = dict.fromkeys(LEVELS, 0)
"""Of this process since its start; a step of each line adds to it."""


def count_lines(metrics: Metrics) -> None:
    """Let the metrics of the process tell how many lines there were. Those of before count too."""
    metrics.collect(LOG_LINES, _samples)


def _samples() -> Iterable[Sample]:
    return [Sample((level,), float(count)) for level, count in counts.items()]
