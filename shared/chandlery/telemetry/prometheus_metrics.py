"""Keeps the metrics of one process for Prometheus, with a bound on how many series there can be.

A label has at most `most_values` values in a metric; what comes on top is told together, as `other`. The label
`broker` is the one that users make grow, and the bound is a setting for its sake. A metric has at most `MOST_SERIES`
series, whatever its labels multiply to: then the label with the most values takes no more of them.

What is looked up at a scrape is looked up on the event loop, where it lives (`look_up`); the text may be made of it
in a thread (`text`).
"""

import threading
from collections import Counter as Series
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import prometheus_client as prometheus
import structlog
from prometheus_client import exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector

from chandlery.telemetry.metric import Counter, Gauge, Histogram, Metric
from chandlery.telemetry.metrics import Collect, Sample

OTHER: Final = "other"
"""Stands for all values of a label for which there is no room."""
MOST_VALUES: Final = 200
MOST_SERIES: Final = 2_000
"""Each histogram among them is sixteen lines of the page and some 4 KiB of memory."""
OPENMETRICS: Final = "application/openmetrics-text"

log = structlog.get_logger(__name__)

# Twice as many lines for what `process_start_time_seconds` tells well enough.
prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]

_FOLDS: Final[dict[str, Callable[[tuple[float, float]], float]]] = {"sum": sum, "max": max, "min": min}
_KINDS: Final[dict[type[Metric], Any]] = {Counter: prometheus.Counter, Gauge: prometheus.Gauge}


class PrometheusMetrics:
    """One per process; each test has its own."""

    def __init__(self, *, most_values: int = MOST_VALUES, most_series: int = MOST_SERIES) -> None:
        self._registry = prometheus.CollectorRegistry(auto_describe=False)
        self._most_values = most_values
        self._most_series = most_series
        self._series: Series[str] = Series()
        self._lock = threading.Lock()
        self._families: dict[str, Any] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._collected: dict[str, _Collected] = {}
        self._values: dict[tuple[str, str], set[str]] = {}
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.PlatformCollector(registry=self._registry)
        prometheus.GCCollector(registry=self._registry)

    def count(self, metric: Counter, *labels: str, by: float = 1.0) -> None:
        """See Metrics."""
        self._child(metric, labels).inc(by)

    def observe(self, metric: Histogram, *labels: str, value: float, trace_id: str = "") -> None:
        """See Metrics."""
        self._child(metric, labels).observe(value, {"trace_id": trace_id} if trace_id else None)

    def set(self, metric: Gauge, *labels: str, value: float) -> None:
        """See Metrics."""
        self._child(metric, labels).set(value)

    def replace(self, metric: Gauge, samples: Iterable[Sample]) -> None:
        """See Metrics."""
        known = list(samples)
        with self._lock:
            collected = self._collected_of(metric)
            collected.latest = known

    def collect(self, metric: Gauge | Counter, samples: Collect) -> None:
        """See Metrics."""
        with self._lock:
            self._collected_of(metric).lookups.append(samples)

    def forget(self, label: str, value: str) -> None:
        """See Metrics."""
        with self._lock:
            for name, labels in [key for key in self._children if value in key[1]]:
                family = self._families[name]
                if label in family._labelnames and labels[family._labelnames.index(label)] == value:  # noqa: SLF001
                    family.remove(*labels)
                    del self._children[name, labels]
                    self._series[name] -= 1
            for (_, of_label), values in self._values.items():
                if of_label == label:
                    values.discard(value)

    def look_up(self) -> None:
        """Ask for all that is to be asked for at each scrape. To be called on the event loop."""
        for collected in tuple(self._collected.values()):
            collected.look_up()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Look up, and tell all there is: see `text`."""
        self.look_up()
        return self.text(is_openmetrics=OPENMETRICS in accept)

    def text(self, *, is_openmetrics: bool) -> tuple[bytes, str]:
        """All there is and was looked up last, and its media type. OpenMetrics has exemplars. Safe in a thread."""
        if is_openmetrics:
            body: bytes = openmetrics_exposition.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return body, openmetrics_exposition.CONTENT_TYPE_LATEST
        return exposition.generate_latest(self._registry), exposition.CONTENT_TYPE_LATEST

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        child = self._children.get((metric.name, labels))
        if child is not None:
            return child
        with self._lock:
            labels = self._bounded(metric, labels)
            child = self._children.get((metric.name, labels))
            if child is None:
                family = self._families.get(metric.name) or self._family(metric)
                child = self._children[metric.name, labels] = family.labels(*labels) if labels else family
                self._series[metric.name] += 1
        return child

    def _bounded(self, metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
        if self._series[metric.name] >= self._most_series and (metric.name, labels) not in self._children:
            widest = max(metric.labels, key=lambda label: len(self._values.get((metric.name, label), ())))
            labels = tuple(
                OTHER if label == widest else value for label, value in zip(metric.labels, labels, strict=True)
            )
        return tuple(
            self._room_for(metric.name, label, _fit_for_page(value))
            for label, value in zip(metric.labels, labels, strict=True)
        )

    def _room_for(self, name: str, label: str, value: str) -> str:
        values = self._values.setdefault((name, label), set())
        if value in values or value == OTHER:
            return value
        if len(values) >= self._most_values:
            return OTHER
        values.add(value)
        return value

    def _family(self, metric: Metric) -> Any:
        if isinstance(metric, Histogram):
            family: Any = prometheus.Histogram(
                metric.name, metric.meaning, metric.labels, buckets=metric.bounds, registry=self._registry
            )
        else:
            family = _KINDS[type(metric)](metric.name, metric.meaning, metric.labels, registry=self._registry)
        self._families[metric.name] = family
        return family

    def _collected_of(self, metric: Gauge | Counter) -> "_Collected":
        if metric.name not in self._collected:
            bounds = {"most_values": self._most_values, "most_series": self._most_series}
            collected = self._collected[metric.name] = _Collected(metric, **bounds)
            self._registry.register(collected)
        return self._collected[metric.name]


class _Collected(Collector):
    """A metric that is looked up at each scrape."""

    def __init__(self, metric: Gauge | Counter, *, most_values: int, most_series: int) -> None:
        self._metric = metric
        self._most_values = most_values
        self._most_series = most_series
        self._fold = _FOLDS[metric.fold if isinstance(metric, Gauge) else "sum"]
        self.latest: list[Sample] = []
        self.lookups: list[Collect] = []
        self._values: dict[tuple[str, ...], float] = {}

    def look_up(self) -> None:
        found: dict[tuple[str, ...], float] = {}
        known: list[set[str]] = [set() for _ in self._metric.labels]
        for labels, value in (*self.latest, *(each for look in self.lookups for each in self._found(look))):
            key = self._bounded(labels, known)
            if key not in found and len(found) >= self._most_series:
                # The others may still be told apart.
                widest = max(range(len(key)), key=lambda place: len(known[place]))
                key = tuple(OTHER if place == widest else each for place, each in enumerate(key))
            found[key] = self._fold((found[key], value)) if key in found else value
        self._values = found

    def _bounded(self, labels: tuple[str, ...], known: list[set[str]]) -> tuple[str, ...]:
        """The first so many values of a label are told apart, and all others together."""
        bounded = []
        for value, values in zip(map(_fit_for_page, labels), known, strict=True):
            has_room = value in values or len(values) < self._most_values
            bounded.append(value if has_room else OTHER)
            if has_room:
                values.add(value)
        return tuple(bounded)

    def collect(self) -> Iterator[Any]:
        metric = self._metric
        family = (CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily)(
            metric.name, metric.meaning, labels=metric.labels
        )
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family

    def _found(self, look: Collect) -> Iterable[Sample]:
        try:
            return tuple(look())
        except Exception as error:  # noqa: BLE001 - one that fails must not take all others from the page
            log.warning(f"{self._metric.name} cannot be told: {type(error).__name__}", action="collect_metrics")
            return ()


def _fit_for_page(value: str) -> str:
    """A folder may have a name that is no UTF-8: one such value would take the whole page."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
