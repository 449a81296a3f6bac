"""What a PromQL expression speaks of, and which labels its result has. Told by a parser, not by looking at the text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import promql_parser as promql

from chandlery.telemetry.catalog.every_metric import EVERY_METRIC
from chandlery.telemetry.metric import Histogram

TARGET_LABELS: Final = frozenset({"namespace", "instance", "job", "pod"})
"""What Prometheus itself knows of whom it scrapes."""
_OF_THE_LIBRARY: Final = (
    *("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"),
    *("process_open_fds", "process_max_fds"),
)
"""From prometheus-client, for each process."""
_ALERTS: Final = frozenset({"alertname", "alertstate", "severity", "broker", "worker"})
_NOTHING: Final = frozenset({"absent", "vector", "time", "scalar"})
"""Functions whose result has no label."""
_GRAFANA: Final = {"$__rate_interval": "5m", "$__range": "1h"}


def declared() -> dict[str, frozenset[str]]:
    """Each series that Prometheus can know of our processes, and its labels without those of the target."""
    known = {name: frozenset[str]() for name in _OF_THE_LIBRARY}
    known |= {"ALERTS": _ALERTS, "up": frozenset()}
    for metric in EVERY_METRIC:
        labels = frozenset(metric.labels)
        if not isinstance(metric, Histogram):
            known[metric.name] = labels
            continue
        known |= {
            f"{metric.name}_bucket": labels | {"le"},
            f"{metric.name}_count": labels,
            f"{metric.name}_sum": labels,
        }
    return known


def parsed(expr: str) -> Any:
    """The tree of an expression, of which Grafana's own durations are made plain. Raises ValueError."""
    for name, duration in _GRAFANA.items():
        expr = expr.replace(name, duration)
    return promql.parse(expr)


def selectors(tree: Any) -> Iterator[promql.VectorSelector]:
    """Each selection of series in it."""
    found: list[promql.VectorSelector] = []

    def look(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(tree, look)
    yield from found


def names_in(selector: promql.VectorSelector) -> set[str]:
    """The metrics it asks for: by name, or by `__name__=~"one|another"`."""
    if selector.name:
        return {selector.name}
    asked = next(each.value for each in selector.matchers.matchers if each.name == "__name__")
    return set(re.fullmatch(r"\(?([\w:|]+)\)?", asked)[1].split("|"))  # type: ignore[index]


def problems_in(expr: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Metrics that nobody declares, and labels that they do not have."""
    tree = parsed(expr)
    problems = []
    for selector in selectors(tree):
        asked = {each.name for each in selector.matchers.matchers} - {"__name__"} - TARGET_LABELS
        for name in names_in(selector):
            if name not in known:
                problems.append(f"nobody declares {name}")
                continue
            problems += [f"{name} has no label {label}" for label in sorted(asked - known[name])]
    return [*problems, *_wrong_groups(tree, known)]


def result_labels(tree: Any, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The labels that the result of an expression can have."""
    match tree:
        case promql.VectorSelector():
            labels = [known.get(name, frozenset()) for name in names_in(tree)]
            return frozenset.union(*labels) | TARGET_LABELS
        case promql.MatrixSelector():
            return result_labels(tree.vector_selector, known)
        case promql.AggregateExpr():
            return frozenset(tree.modifier.labels if tree.modifier else ())
        case promql.Call():
            return _labels_of_call(tree, known)
        case promql.BinaryExpr():
            # Of two vectors the left one's; both sides of `or` are ours to keep alike.
            return result_labels(tree.lhs, known) or result_labels(tree.rhs, known)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return result_labels(tree.expr, known)
    return frozenset()


def _labels_of_call(call: Any, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    if call.func.name in _NOTHING:
        return frozenset()
    labels = frozenset[str]().union(*(result_labels(each, known) for each in call.args))
    return labels - {"le"} if call.func.name == "histogram_quantile" else labels


def _wrong_groups(tree: Any, known: Mapping[str, frozenset[str]]) -> list[str]:
    wrong: list[str] = []

    def look(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            missing = set(node.modifier.labels) - result_labels(node.expr, known)
            wrong.extend(f"{node.expr.prettify()} has no label {label}" for label in sorted(missing))

    promql.walk(tree, look)
    return wrong
