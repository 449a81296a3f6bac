"""The token bucket: a burst at once, then one by one, first come first served."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.retry.rate_limit import FARTHEST_TURN, CallRate, next_turn

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def places(rate: CallRate, seconds: list[float]) -> list[float]:
    """When those who ask at these seconds are let through."""
    full_at, found = None, []
    for second in seconds:
        place = next_turn(rate, full_at, NOW + timedelta(seconds=second))
        full_at = place.full_at
        found.append(round((place.at - NOW).total_seconds(), 3))
    return found


@pytest.mark.parametrize(
    ("rate", "asked", "granted"),
    [
        (CallRate(per_second=2), [0, 0, 0, 0], [0, 0.5, 1, 1.5]),
        (CallRate(per_second=2, burst=3), [0, 0, 0, 0, 0], [0, 0, 0, 0.5, 1]),
        (CallRate(per_second=2, burst=3), [0, 0, 0, 10, 10, 10, 10], [0, 0, 0, 10, 10, 10, 10.5]),
        (CallRate(per_second=2, burst=3), [0, 0, 0, 0.5, 0.5], [0, 0, 0, 0.5, 1]),
        (CallRate(per_second=0.2), [0, 1, 20], [0, 5, 20]),
    ],
)
def test_calls_are_let_through_at_the_rate(rate: CallRate, asked: list[float], granted: list[float]) -> None:
    assert places(rate, asked) == granted


def test_who_would_wait_too_long_gets_no_place() -> None:
    rate, full_at = CallRate(per_second=1), NOW + FARTHEST_TURN + timedelta(seconds=1)
    place = next_turn(rate, full_at, NOW)

    assert not place.is_kept
    assert (place.at, place.full_at) == (NOW + FARTHEST_TURN, full_at)


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_calls_than_burst_and_rate_allow(
    rate: float, burst: int, pauses: list[float]
) -> None:
    asked = [sum(pauses[:end]) for end in range(1, len(pauses) + 1)]
    granted = places(CallRate(per_second=rate, burst=burst), asked)

    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            allowed = burst + (granted[last] - start) * rate
            assert last - first + 1 <= allowed + 0.3
    assert all(later >= earlier for earlier, later in pairwise(granted))
