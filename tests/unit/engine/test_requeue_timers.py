"""Commands at the moment when their objects are due, sent by the process that has put them off."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from chandlery.contracts.messages import UNRESOLVED_LANE, Message, Reconcile
from chandlery.engine.requeue_timers import RequeueTimers, tick_after
from chandlery.engine.rounds.round_trace import RoundTrace
from chandlery.model.faults import Unavailable
from chandlery.store.work.work_claims import Claim
from tests.support.waiting import SOON

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = (Reconcile(kind="ServiceInstance", uid=uid, lane="lane") for uid in ("uid-1", "uid-2"))
NO_TIME, A_MOMENT, VERY_LONG = timedelta(0), timedelta(seconds=0.5), timedelta(hours=1)


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


async def test_what_is_due_where_this_process_listens_is_taken_up_there_and_only_the_rest_is_sent() -> None:
    wire = Wire()
    requeue_timers = over(wire)
    taken: list[Reconcile] = []

    def take(commands: Sequence[Reconcile]) -> Sequence[Reconcile]:
        taken.extend(commands[:1])
        return commands[1:]

    elsewhere = Reconcile(kind="ServiceInstance", uid="uid-3", lane="another")
    requeue_timers.hand_to("ServiceInstance", "lane", take)
    for command in (FIRST, SECOND, elsewhere):
        requeue_timers.set(command, A_MOMENT)
    await wire.next()
    await requeue_timers.close()
    assert taken == [FIRST]
    assert wire.published == [SECOND, elsewhere]


async def test_who_listens_no_more_leaves_it_to_the_bus() -> None:
    wire = Wire()
    requeue_timers = over(wire)
    requeue_timers.hand_to("ServiceInstance", "lane", lambda commands: [])
    requeue_timers.hand_to("ServiceInstance", "lane", None)
    requeue_timers.set(FIRST, NO_TIME)
    await wire.next()
    await requeue_timers.close()
    assert wire.published == [FIRST]


@pytest.mark.parametrize(("pause", "late"), [(0.0, 0.0), (0.4, 0.0), (0.5, 1 / 64), (10.0, 0.25), (30.0, 0.25)])
def test_moments_are_rounded_up_by_little_of_the_pause(pause: float, late: float) -> None:
    moments = [1000.0 + number / 97 for number in range(97)]
    ticks = [tick_after(moment, pause=pause) for moment in moments]
    assert all(0 <= tick - moment <= late for tick, moment in zip(ticks, moments, strict=True))
    assert len(set(ticks)) <= (1 / late + 1 if late else len(moments))


def test_a_reminder_goes_by_the_lane_of_the_work_whatever_lane_the_command_came_by() -> None:
    trace = RoundTrace(NoOpTracer())
    trace.begin(_held("broker:/db"), None)
    command = Reconcile(kind="ServiceInstance", uid="uid-1", lane=UNRESOLVED_LANE)
    assert trace.reminder(command) == command.model_copy(update={"lane": "broker:/db"})


def _held(lane: str) -> Claim:
    return Claim(
        uid="uid-1",
        kind="ServiceInstance",
        lane=lane,
        attempt=0,
        revision=1,
        fence=1,
        owner="me",
        sealed=None,
        memory={},
    )
