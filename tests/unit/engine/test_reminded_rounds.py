"""What a process has put off itself: many at a time, no more than the lane gets through, and the rest for others."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chandlery.contracts.messages import Message, Reconcile
from chandlery.engine.reminded_rounds import TOGETHER, RemindedRounds
from chandlery.messaging.handler_slots import HandlerSlots, enter_slot
from chandlery.store.work.work_releases import REMINDER
from tests.support.waiting import eventually

KIND = "ServiceInstance"


class Lane:
    """A subscription whose handlers halt until they are let go."""

    def __init__(self, *, concurrency: int = 4) -> None:
        self._slots: HandlerSlots[Message] = HandlerSlots(lambda _: asyncio.sleep(0), limit=concurrency)
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._may_end = asyncio.Event()
        self.calls_nobody = False
        self.now = 1_000.0
        subscription: Any = self
        self.rounds = RemindedRounds(
            subscription, {KIND: self._handle}, concurrency=concurrency, clock=lambda: self.now
        )

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None] | None":
        return self._slots.run_beside(work)

    def let_go(self) -> None:
        self._may_end.set()

    def hold(self) -> None:
        self._may_end.clear()

    async def close(self) -> None:
        self._slots.stop()
        await self._slots.settle()

    async def _handle(self, message: Message) -> None:
        assert isinstance(message, Reconcile)
        self.begun.append(message.uid)
        if not self.calls_nobody:
            await enter_slot()
        await self._may_end.wait()
        if message.uid == "fails":
            raise LookupError(message.uid)
        self.ended.append(message.uid)


def commands(count: int, *, first: int = 0) -> list[Reconcile]:
    return [Reconcile(kind=KIND, uid=f"uid-{number}", lane="lane") for number in range(first, first + count)]


async def has_begun(lane: Lane, count: int) -> None:
    await eventually(lambda: len(lane.begun) == count, what=f"{count} rounds to begin")


async def has_ended(lane: Lane, count: int) -> None:
    await eventually(lambda: len(lane.ended) == count, what=f"{count} rounds to be over")


async def test_as_many_begin_together_as_messages_would_be_taken_and_the_rest_when_half_of_them_are_over() -> None:
    lane = Lane(concurrency=4)
    assert lane.rounds.take(commands(20)) == []
    await has_begun(lane, 8)

    lane.let_go()

    await has_ended(lane, 20)
    assert lane.ended == [command.uid for command in commands(20)]


async def test_a_lane_that_is_quick_is_given_ever_more_at_a_time_up_to_a_bound() -> None:
    lane = Lane(concurrency=4)
    lane.let_go()
    for turn in range(8):
        assert lane.rounds.take(commands(200, first=200 * turn)) == []
        await has_ended(lane, 200 * (turn + 1))
    lane.hold()
    before = len(lane.begun)
    lane.rounds.take(commands(500, first=5_000))
    await has_begun(lane, before + TOGETHER)
    lane.let_go()
    await has_ended(lane, 2_100)


async def begun_at_a_time(lane: Lane) -> int:
    """How many begin together by now."""
    lane.hold()
    before, ended = len(lane.begun), len(lane.ended)
    assert lane.rounds.take(commands(2 * TOGETHER, first=9_000)) == []
    await asyncio.sleep(0)
    begun = len(lane.begun) - before
    lane.let_go()
    await has_ended(lane, ended + 2 * TOGETHER)
    return begun


@pytest.mark.parametrize(("calls_nobody", "expected"), [(False, 2 * 8), (True, 8)])
async def test_a_lane_whose_service_broker_nobody_has_called_is_not_taken_for_a_quick_one(
    calls_nobody: bool, expected: int
) -> None:
    lane = Lane(concurrency=4)
    lane.calls_nobody = calls_nobody
    lane.let_go()
    lane.rounds.take(commands(8))
    await has_ended(lane, 8)
    assert await begun_at_a_time(lane) == expected


async def test_a_lane_that_has_become_slow_is_given_half_as_many_at_a_time() -> None:
    lane = Lane(concurrency=4)
    lane.let_go()
    lane.rounds.take(commands(8))
    await has_ended(lane, 8)
    lane.hold()
    lane.rounds.take(commands(16, first=8))
    await has_begun(lane, 24)

    lane.now += 2.5
    lane.let_go()
    await has_ended(lane, 24)

    assert await begun_at_a_time(lane) == 8


async def test_what_waits_for_longer_than_the_sweep_does_is_left_to_the_message_of_that() -> None:
    lane = Lane(concurrency=1)
    lane.rounds.take(commands(3))
    await has_begun(lane, 1)
    lane.now += REMINDER.total_seconds()
    lane.rounds.take(commands(2, first=3))

    lane.now += 0.1
    lane.let_go()

    await has_ended(lane, 3)
    assert lane.ended == ["uid-0", "uid-3", "uid-4"]
    assert lane.rounds.close() == []


async def test_an_object_that_is_due_anew_while_it_waits_begins_once_and_with_the_latest_command() -> None:
    lane = Lane(concurrency=1)
    first, again, *others = commands(3)
    lane.rounds.take([first, again, *others])
    await has_begun(lane, 1)
    anew = again.model_copy(update={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})

    lane.rounds.take([anew])

    assert lane.rounds.close() == [*others, anew]
    lane.let_go()
    await has_ended(lane, 1)


async def test_what_is_more_than_can_wait_is_left_to_others_and_what_waits_is_given_back_at_the_end() -> None:
    lane = Lane(concurrency=4)
    left = lane.rounds.take(commands(1_500))
    await has_begun(lane, 8)
    assert [command.uid for command in left] == [f"uid-{number}" for number in range(1_000, 1_500)]

    waiting = lane.rounds.close()

    assert [command.uid for command in waiting] == [f"uid-{number}" for number in range(8, 1_000)]
    lane.let_go()
    await has_ended(lane, 8)
    await lane.close()
    assert len(lane.ended) == 8


async def test_one_that_fails_keeps_no_other_from_its_turn() -> None:
    lane = Lane(concurrency=1)
    lane.let_go()
    failing = Reconcile(kind=KIND, uid="fails", lane="lane")
    lane.rounds.take([failing, *commands(3)])
    await has_ended(lane, 3)
    assert "fails" in lane.begun


async def test_on_a_lane_that_is_being_closed_nothing_begins() -> None:
    lane = Lane()
    await lane.close()
    assert lane.rounds.take(commands(3)) == []
    assert (lane.begun, list(lane.rounds.close())) == ([], [])
