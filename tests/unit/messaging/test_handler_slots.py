"""Slots of handlers: a limited number at once, which may be left by who only writes down, and entered again."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
import structlog
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, use_span

from chandlery.messaging.handler_slots import (
    HandlerSlots,
    enter_slot,
    has_used_slot,
    leave_slot,
    most_taken,
    runs_beside,
)
from tests.support.waiting import eventually


class Stage:
    """Handlers that halt where a test wants them, by item."""

    def __init__(self, limit: int) -> None:
        self.slots: HandlerSlots[int] = HandlerSlots(self._work, limit=limit)
        self.calling: list[int] = []
        self.writing: list[int] = []
        self.again: list[int] = []
        self.ended: list[int] = []
        self._gates = {name: asyncio.Event() for name in ("answered", "written", "over")}

    def open(self, gate: str) -> None:
        self._gates[gate].set()

    async def _work(self, item: int) -> None:
        self.calling.append(item)
        await self._gates["answered"].wait()
        leave_slot()
        self.writing.append(item)
        await self._gates["written"].wait()
        await enter_slot()
        self.again.append(item)
        await self._gates["over"].wait()
        self.ended.append(item)


async def is_so(fact: Callable[[], bool]) -> None:
    await eventually(fact, what="the handlers to get there")


async def test_who_leaves_a_slot_lets_the_next_one_start_and_no_more_run_than_are_taken() -> None:
    stage = Stage(limit=4)
    for item in range(20):
        stage.slots.offer(item)
    await is_so(lambda: stage.calling == [0, 1, 2, 3])

    stage.open("answered")

    await is_so(lambda: stage.writing == list(range(most_taken(4))))
    assert stage.calling == list(range(8))
    assert stage.slots.withdraw() == list(range(8, 20))
    for gate in ("written", "over"):
        stage.open(gate)
    await stage.slots.settle()


async def test_who_comes_back_waits_until_a_slot_is_free_and_goes_before_new_ones() -> None:
    stage = Stage(limit=4)
    for item in range(20):
        stage.slots.offer(item)
    stage.open("answered")
    await is_so(lambda: len(stage.writing) == 8)

    stage.open("written")

    await is_so(lambda: stage.again == [0, 1, 2, 3])
    assert len(stage.calling) == 8
    stage.open("over")
    await stage.slots.settle()
    assert sorted(stage.ended) == list(range(20))


async def test_where_few_may_run_none_is_taken_ahead() -> None:
    assert [most_taken(limit) for limit in (1, 2, 3, 4, 16)] == [1, 2, 3, 8, 32]
    stage = Stage(limit=1)
    for item in range(3):
        stage.slots.offer(item)
    stage.open("answered")
    await is_so(lambda: stage.writing == [0])
    assert (stage.calling, stage.slots.withdraw()) == ([0], [1, 2])
    for gate in ("written", "over"):
        stage.open(gate)
    await stage.slots.settle()


async def test_who_is_cancelled_on_the_way_back_takes_no_slot_along() -> None:
    stage = Stage(limit=4)
    for item in range(8):
        stage.slots.offer(item)
    stage.open("answered")
    await is_so(lambda: len(stage.writing) == 8)
    stage.open("written")
    await is_so(lambda: stage.again == [0, 1, 2, 3])

    await stage.slots.abandon()

    assert stage.ended == []
    assert not stage.slots.is_free
    assert stage.slots._held == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_no_slots_at_all_are_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        HandlerSlots(lambda item: asyncio.sleep(0), limit=limit)


async def test_outside_of_any_slot_leaving_and_entering_mean_nothing() -> None:
    leave_slot()
    await enter_slot()


class Beside:
    """What runs beside the handlers of a stage, and halts once it has a slot."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.begun: list[str] = []
        self.calling: list[str] = []
        self._answered = asyncio.Event()

    def run(self, *names: str) -> list["asyncio.Task[None] | None"]:
        return [self._stage.slots.run_beside(partial(self._work, name)) for name in names]

    def answer(self) -> None:
        self._answered.set()

    async def _work(self, name: str) -> None:
        assert runs_beside()
        self.begun.append(name)
        await enter_slot()
        self.calling.append(name)
        await self._answered.wait()


async def test_what_runs_beside_begins_without_a_slot_and_shares_the_same_ones() -> None:
    stage = Stage(limit=2)
    beside = Beside(stage)
    stage.slots.offer(0)

    beside.run("a", "b", "c")

    await is_so(lambda: beside.calling == ["a"])
    assert beside.begun == ["a", "b", "c"]
    assert not stage.slots.is_free
    beside.answer()
    for gate in ("answered", "written", "over"):
        stage.open(gate)
    await stage.slots.settle()
    assert (beside.calling, stage.ended) == (["a", "b", "c"], [0])


async def test_messages_and_what_runs_beside_them_are_let_in_by_turns() -> None:
    let_in: list[object] = []

    async def work(item: object) -> None:
        await enter_slot()
        let_in.append(item)
        await asyncio.sleep(0)

    slots: HandlerSlots[object] = HandlerSlots(work, limit=1)
    slots.offer("first")
    for name in ("a", "b", "c"):
        slots.run_beside(partial(work, name))
        slots.offer(name.upper())
    await slots.settle()

    assert let_in[0] == "first"
    assert [str(each).islower() for each in let_in[1:]] in ([True, False] * 3, [False, True] * 3)


async def test_a_queue_that_waits_for_a_free_slot_has_its_turn_beside_many_others() -> None:
    let_in: list[str] = []
    queue = ["X", "Y"]

    async def work(item: str) -> None:
        await enter_slot()
        let_in.append(item)
        await asyncio.sleep(0)

    slots: HandlerSlots[str] = HandlerSlots(work, limit=1, on_free=lambda: slots.offer(queue.pop(0)) if queue else None)
    for number in range(8):
        slots.run_beside(partial(work, f"beside-{number}"))
    await slots.settle()

    assert {"X", "Y"} <= set(let_in[:6])
    assert len(let_in) == 10


async def test_once_stopped_nothing_is_begun_beside_and_what_runs_is_cancelled_with_the_rest() -> None:
    stage = Stage(limit=1)
    beside = Beside(stage)
    beside.run("a", "b")
    await is_so(lambda: beside.calling == ["a"])

    await stage.slots.abandon()

    assert beside.run("c") == [None]
    assert (beside.calling, stage.slots._held) == (["a"], 0)


async def test_what_waits_beside_for_a_slot_calls_nobody_once_all_is_stopped() -> None:
    stage = Stage(limit=1)
    beside = Beside(stage)
    calling, waiting = beside.run("a", "b")
    await is_so(lambda: beside.calling == ["a"] and beside.begun == ["a", "b"])
    (late,) = beside.run("c")

    stage.slots.stop()
    beside.answer()
    await stage.slots.settle()

    assert beside.calling == ["a"]
    assert [task is not None and task.cancelled() for task in (calling, waiting, late)] == [False, True, True]
    assert stage.slots._held == 0


async def test_who_never_had_a_slot_or_left_it_unused_has_used_none() -> None:
    seen: dict[str, list[bool]] = {}

    async def call(name: str, *, is_unused: bool) -> None:
        before = has_used_slot()
        await enter_slot()
        within = has_used_slot()
        leave_slot(is_unused=is_unused)
        seen[name] = [before, within, has_used_slot()]

    slots: HandlerSlots[int] = HandlerSlots(lambda _: asyncio.sleep(0), limit=1)
    slots.run_beside(partial(call, "calls", is_unused=False))
    slots.run_beside(partial(call, "is held back", is_unused=True))
    await slots.settle()

    assert seen == {"calls": [False, True, True], "is held back": [False, True, False]}
    assert not has_used_slot()


async def test_who_is_run_knows_who_listens_and_not_the_message_that_made_them_listen() -> None:
    seen: list[tuple[dict[str, object], bool]] = []

    async def work(item: int = 0) -> None:
        seen.append((structlog.contextvars.get_contextvars(), get_current_span().get_span_context().is_valid))

    span = NonRecordingSpan(SpanContext(trace_id=1, span_id=2, is_remote=False))
    with structlog.contextvars.bound_contextvars(service="provisioner", message_id="announces a lane"), use_span(span):
        slots: HandlerSlots[int] = HandlerSlots(work, limit=1)
        assert get_current_span() is span
        slots.offer(1)
        slots.run_beside(work)
        assert "message_id" in structlog.contextvars.get_contextvars()
    await slots.settle()

    assert seen == [({"service": "provisioner"}, False)] * 2


async def test_who_handles_a_message_runs_beside_nobody() -> None:
    seen: list[bool] = []

    async def work(item: int) -> None:
        seen.append(runs_beside())

    slots: HandlerSlots[int] = HandlerSlots(work, limit=1)
    slots.offer(1)
    await slots.settle()
    assert seen == [False]
    assert not runs_beside()
