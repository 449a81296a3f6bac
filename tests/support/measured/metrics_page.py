"""A page of metrics as a test looks at it."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families as families

Told = dict[tuple[str, ...], float]
"""Name and values of labels, in the order of the labels' names -> value."""


def told(page: str) -> Told:
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families(page)
        for sample in family.samples
    }


def news(before: Told, after: Told) -> Told:
    """By how much each value has grown, if it has."""
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def names(page: str) -> Iterator[str]:
    """Of all metrics on it, as they are declared: counters with `_total`."""
    return (family.name + ("_total" if family.type == "counter" else "") for family in families(page))
