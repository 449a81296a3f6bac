"""A metric as data: what it is called, by what it is told apart, and which question it answers."""

from dataclasses import dataclass
from typing import Final, Literal

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of what a request or a call takes."""
LONG_SECONDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0)
"""Bounds of what a service broker works on: from a moment to half a day."""
SHORT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds of what should be over before anybody notices."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Prometheus' rules for names: a unit at the end, `_total` for what only grows.

    A label is never the name of an object that users make, but for service brokers, of which so many are told apart
    as `prometheus_metrics.py` says.
    """

    name: str
    labels: tuple[str, ...] = ()
    meaning: str
    """Ends in the text of `# HELP`."""
    question: str
    """What somebody who is woken at night asks it."""


@dataclass(frozen=True, kw_only=True)
class Counter(Metric):
    """Only grows, but for the start of a process. Its name ends in `_total`."""


@dataclass(frozen=True, kw_only=True)
class Gauge(Metric):
    """As much as there is now."""

    fold: Literal["sum", "max", "min"] = "sum"
    """How those are told together for which there is no room: an age is that of the oldest."""


@dataclass(frozen=True, kw_only=True)
class Histogram(Metric):
    """How often values were at most so much."""

    bounds: tuple[float, ...] = SECONDS
