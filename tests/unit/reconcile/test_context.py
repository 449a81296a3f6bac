"""Which annotations a service broker is told: those asked for by prefix, and some never."""

import pytest

from chandlery.reconcile.operation.context import annotations_to_tell

ANNOTATIONS = {
    "prefix.acme.com/tier": "gold",
    "acme.com/team": "red",
    "acme.com/cost": "7",
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "chandlery.io/retry-requested-at": "now",
    "plain": "x",
}


@pytest.mark.parametrize(
    ("prefixes", "told"),
    [
        pytest.param((), {}, id="none by default"),
        pytest.param(("acme.com/",), {"acme.com/cost": "7", "acme.com/team": "red"}, id="by prefix"),
        pytest.param(("acme.com/team",), {"acme.com/team": "red"}, id="a whole key is a prefix too"),
        pytest.param(("plain", "prefix."), {"plain": "x", "prefix.acme.com/tier": "gold"}, id="several"),
        pytest.param(("kubectl.kubernetes.io/", "chandlery.io/", "k", "c"), {}, id="never those"),
        pytest.param(("",), {}, id="an empty prefix is none"),
        pytest.param(("ACME.com/",), {}, id="case counts"),
    ],
)
def test_annotations_are_told_by_prefix(prefixes: tuple[str, ...], told: dict[str, str]) -> None:
    assert annotations_to_tell(ANNOTATIONS, prefixes) == told


def test_told_annotations_are_in_order_so_that_equal_contexts_are_equal_texts() -> None:
    backwards = dict(reversed(ANNOTATIONS.items()))
    assert list(annotations_to_tell(ANNOTATIONS, ("acme.com/",))) == list(
        annotations_to_tell(backwards, ("acme.com/",))
    )


def test_no_annotations_are_told_when_there_are_none() -> None:
    assert annotations_to_tell(None, ("acme.com/",)) == {}
