"""Commands at the moment when their objects are due, sent by the process that has put them off."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chandlery.contracts.messages import Message, Reconcile
from chandlery.engine.requeue_timers import RequeueTimers
from chandlery.model.faults import Unavailable
from tests.support.waiting import SOON

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = (Reconcile(kind="ServiceInstance", uid=uid, lane="lane") for uid in ("uid-1", "uid-2"))
NO_TIME, VERY_LONG = timedelta(0), timedelta(hours=1)


class Wire:
    """A bus that remembers what it was told; `is_away` lets the next message fail."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.is_away = False
        self._told = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        was_away, self.is_away = self.is_away, False
        self._told.set()
        if was_away:
            raise Unavailable("the bus is away")
        self.published += messages

    async def next(self) -> None:
        async with asyncio.timeout(SOON):
            await self._told.wait()
        self._told.clear()


def over(wire: Wire, **options: int) -> RequeueTimers:
    bus: Any = wire
    return RequeueTimers(bus, **options)


@pytest.mark.parametrize(
    ("seconds", "is_taken"), [(None, False), (-1, False), (0, False), (0.01, True), (30, True), (30.1, False)]
)
def test_what_is_due_within_half_a_minute_is_taken(seconds: float | None, is_taken: bool) -> None:
    due_at = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert over(Wire()).take(due_at, NOW) is is_taken


def test_without_a_bus_nothing_is_taken() -> None:
    assert not RequeueTimers().take(NOW + timedelta(seconds=1), NOW)


async def test_no_more_is_taken_than_there_is_room_for() -> None:
    requeue_timers = over(Wire(), most=1)
    requeue_timers.set(FIRST, VERY_LONG)
    assert not requeue_timers.take(NOW + timedelta(seconds=1), NOW)
    await requeue_timers.close()
    assert requeue_timers.take(NOW + timedelta(seconds=1), NOW)


async def test_a_command_is_sent_when_its_time_has_come() -> None:
    wire = Wire()
    requeue_timers = over(wire)
    requeue_timers.set(SECOND, VERY_LONG)
    requeue_timers.set(FIRST, NO_TIME)
    await wire.next()
    await requeue_timers.close()
    assert wire.published == [FIRST]


async def test_a_later_reminder_of_an_object_takes_the_place_of_the_one_before() -> None:
    wire = Wire()
    requeue_timers = over(wire)
    requeue_timers.set(FIRST, VERY_LONG)
    requeue_timers.set(FIRST, NO_TIME)
    await wire.next()
    await requeue_timers.close()
    assert wire.published == [FIRST]


async def test_what_the_bus_does_not_take_is_left_and_the_next_is_sent() -> None:
    wire = Wire()
    wire.is_away = True
    requeue_timers = over(wire)
    requeue_timers.set(FIRST, NO_TIME)
    await wire.next()
    requeue_timers.set(SECOND, NO_TIME)
    await wire.next()
    await requeue_timers.close()
    assert wire.published == [SECOND]
