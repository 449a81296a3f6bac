"""Who writes an object wakes nobody: the store does, from what is written (`store/work/wake_ups.py`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STORE = ROOT / "shared/chandlery/store"
OUTSIDE = sorted(
    path
    for top in ("shared", "services")
    for path in (ROOT / top).rglob("*.py")
    if STORE not in path.parents and path.name != "wake_keys.py"
)
WAKES = {"enqueue_waiting", "enqueue_waiting_at_end", "woken_by"}
NO_OBJECT_TELLS = {
    "round_writer.py": "passes on what a result says, which is held to the keys below",
    "seal_keeping.py": "Secrets that cannot be decrypted: nothing of them is written",
    "secret_waker.py": "Secrets of a cluster, which are not written by us",
    "namespace_machine.py": "asks by which key it will be woken, to wait for that",
}
"""Modules that may name them all the same, with the reason."""
KEYS_OF_RESULTS = {"relist_key", "circuit_key"}
"""What a reconciler may wake itself: a catalog that is out of date, a broker that somebody wants tried."""


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.name


def _woken_by_hand(tree: ast.AST) -> Iterator[str]:
    """The keys that are made where `wakes` is given or added to."""
    for node in ast.walk(tree):
        given: list[ast.AST] = []
        if isinstance(node, ast.keyword) and node.arg == "wakes":
            given = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            to = node.func.value
            is_wakes = isinstance(to, ast.Attribute) and to.attr.strip("_") == "wakes"
            given = list(node.args) if is_wakes and node.func.attr in {"append", "extend"} else []
        for part in given:
            yield from (name for name in _names(part) if name.endswith("_key"))


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_outside_the_store_wakes_for_what_is_written(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.name not in NO_OBJECT_TELLS:
        assert not WAKES & set(_names(tree))
    assert set(_woken_by_hand(tree)) <= KEYS_OF_RESULTS


def test_what_is_excused_needs_it() -> None:
    named = {path.name for path in OUTSIDE if WAKES & set(_names(ast.parse(path.read_text())))}
    assert named == set(NO_OBJECT_TELLS)


def test_keys_that_are_given_by_hand_are_seen() -> None:
    assert list(_woken_by_hand(ast.parse("self._wakes.append(secret_key(a, b))"))) == ["secret_key"]
    assert list(_woken_by_hand(ast.parse("Result(wakes=(broker_key(a, b),))"))) == ["broker_key"]
