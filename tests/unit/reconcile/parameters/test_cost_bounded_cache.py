"""A cache that counts costs: what it keeps, what it forgets first, what it never lets in."""

from collections.abc import Callable

import pytest

from chandlery.reconcile.parameters.cost_bounded_cache import CostBoundedCache


class Made:
    """Values that count how often they were made."""

    def __init__(self) -> None:
        self.of: list[str] = []

    def by(self, key: str, cost: int) -> Callable[[], tuple[str, int]]:
        def make() -> tuple[str, int]:
            self.of.append(key)
            return key.upper(), cost

        return make


def test_what_is_known_is_not_made_again() -> None:
    cache, made = CostBoundedCache[str, str](100), Made()
    assert [cache.of("a", made.by("a", 10)) for _ in range(3)] == ["A", "A", "A"]
    assert (made.of, cache.cost) == (["a"], 10)


def test_what_was_not_asked_for_the_longest_is_forgotten_first() -> None:
    cache, made = CostBoundedCache[str, str](100), Made()
    for key in ("a", "b", "c", "d", "a", "e"):
        cache.of(key, made.by(key, 25))
    assert cache.cost == 100
    for key in ("a", "b"):
        cache.of(key, made.by(key, 25))
    assert made.of == ["a", "b", "c", "d", "e", "b"]


def test_what_costs_too_much_drives_nothing_out() -> None:
    cache, made = CostBoundedCache[str, str](100), Made()
    cache.of("a", made.by("a", 25))
    assert [cache.of("big", made.by("big", 26)) for _ in range(2)] == ["BIG", "BIG"]
    cache.of("a", made.by("a", 25))
    assert (made.of, cache.cost) == (["a", "big", "big"], 25)


def test_what_cannot_be_made_is_asked_for_again() -> None:
    cache = CostBoundedCache[str, str](100)

    def fail() -> tuple[str, int]:
        raise ValueError("it cannot be made")

    with pytest.raises(ValueError, match="cannot be made"):
        cache.of("a", fail)
    assert cache.of("a", Made().by("a", 1)) == "A"
