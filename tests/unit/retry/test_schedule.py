"""The persisted schedule: never too early, never too late, never all at once."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.retry.schedule import BROKER_CALLS, DEPENDENCIES, POLLS, Schedule

MIDDLE = 0.5
SCHEDULES = [BROKER_CALLS, DEPENDENCIES]


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (10, 512), (11, 1024), (12, 1200), (64, 1200), (10**9, 1200), (-5, 1)],
)
def test_the_pause_after_a_failed_call_doubles_up_to_twenty_minutes(attempt: int, seconds: float) -> None:
    assert BROKER_CALLS.delay(attempt, draw=MIDDLE) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("poll", "minutes", "seconds"),
    [
        *[(1, 0, 1), (2, 0, 1.5), (3, 0, 2.25), (7, 1, 10), (1000, 10, 10)],
        *[(50, 20, 20), (99, 60, 60), (999, 1440, 60)],
        (1, 60, 1),
    ],
)
def test_polls_are_ten_seconds_apart_at_first_and_a_minute_after_an_hour(
    poll: int, minutes: int, seconds: float
) -> None:
    elapsed = timedelta(minutes=minutes)

    assert POLLS.delay(poll, elapsed=elapsed, draw=MIDDLE).total_seconds() == pytest.approx(seconds, abs=1e-6)


@given(poll=st.integers(1, 10_000), minutes=st.floats(0, 10))
def test_an_end_is_seen_within_ten_seconds_for_the_first_ten_minutes(poll: int, minutes: float) -> None:
    assert timedelta(0) < POLLS.delay(poll, elapsed=timedelta(minutes=minutes)) <= timedelta(seconds=10)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 10), (7, 300), (1000, 300)])
def test_what_is_missing_is_looked_for_every_five_minutes_at_least(attempt: int, seconds: float) -> None:
    assert DEPENDENCIES.delay(attempt, draw=MIDDLE) == timedelta(seconds=seconds)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["calls", "dependencies"])
@given(attempt=st.integers(), draw=st.floats(0, 1, exclude_max=True))
def test_the_jitter_stays_within_its_share(schedule: Schedule, attempt: int, draw: float) -> None:
    plain = schedule.delay(attempt, draw=MIDDLE)
    delay = schedule.delay(attempt, draw=draw)

    assert abs(delay - plain) <= plain * schedule.jitter / 2 + timedelta(microseconds=1)
    assert timedelta(0) < delay <= schedule.maximum * (1 + schedule.jitter / 2)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["calls", "dependencies"])
@given(attempt=st.integers(1, 200))
def test_the_pause_never_shrinks(schedule: Schedule, attempt: int) -> None:
    assert schedule.delay(attempt, draw=MIDDLE) <= schedule.delay(attempt + 1, draw=MIDDLE)


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({BROKER_CALLS.delay(5) for _ in range(50)}) > 25
