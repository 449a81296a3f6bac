"""The seam for metrics: what the rooms of a process call, and the twin that does nothing.

Comes in: a metric of `catalog/`, the values of its labels in the order in which it declares them, and a number.
Goes out: nothing that a caller sees; `prometheus_metrics.py` keeps it for whoever scrapes the process.
Called by: the request pipeline, the engine's steps, both buses, the OSB transport and the database.

Each call takes a microsecond and never fails: what is measured must not change what is done.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from chandlery.telemetry.metric import Counter, Gauge, Histogram


class Sample(NamedTuple):
    """One value of a gauge or counter that is looked up when it is asked for."""

    labels: tuple[str, ...]
    value: float


Collect = Callable[[], Iterable[Sample]]
"""Looks into memory, at once and without waiting."""


class Metrics(Protocol):
    """Takes numbers. Safe to call from any thread."""

    def count(self, metric: Counter, *labels: str, by: float = 1.0) -> None:
        """It happened once more."""

    def observe(self, metric: Histogram, *labels: str, value: float, trace_id: str = "") -> None:
        """It took so long, or was so large. The trace, if one is recorded, becomes the exemplar."""

    def set(self, metric: Gauge, *labels: str, value: float) -> None:
        """It is so much now."""

    def replace(self, metric: Gauge, samples: Iterable[Sample]) -> None:
        """These are all that there are now; what was told before and is not among them is gone."""

    def collect(self, metric: Gauge | Counter, samples: Collect) -> None:
        """Ask for it at each scrape. Several may be given for one metric: their samples stand side by side."""

    def forget(self, label: str, value: str) -> None:
        """Leave out all that a label has told of this value: the service broker has gone, say."""


class NullMetrics:
    """Nobody wants to know."""

    def count(self, metric: Counter, *labels: str, by: float = 1.0) -> None:
        """See Metrics."""

    def observe(self, metric: Histogram, *labels: str, value: float, trace_id: str = "") -> None:
        """See Metrics."""

    def set(self, metric: Gauge, *labels: str, value: float) -> None:
        """See Metrics."""

    def replace(self, metric: Gauge, samples: Iterable[Sample]) -> None:
        """See Metrics."""

    def collect(self, metric: Gauge | Counter, samples: Collect) -> None:
        """See Metrics."""

    def forget(self, label: str, value: str) -> None:
        """See Metrics."""


NO_METRICS: Final = NullMetrics()
