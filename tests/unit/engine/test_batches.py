"""Batches: many waiters, one transaction; a culprit fails alone, a waiter that left is left out."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar

import pytest
import structlog

from chandlery.engine.batches import Batches, Part
from chandlery.model.faults import Unavailable
from tests.support.waiting import SOON


class Bench:
    """Work that squares numbers, notes its batches, and waits at a gate while that is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = 0
        self.most_running = 0
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, parts: Sequence[Part[int]]) -> Sequence[int]:
        items = [part.item for part in parts]
        self.batches.append(items)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.began.set()
        try:
            await self.gate.wait()
            if any(item < 0 for item in items):
                raise LookupError(f"{min(items)} cannot be squared")
            return [item * item for item in items]
        finally:
            self.running -= 1


async def test_lone_item_is_worked_on_at_once() -> None:
    bench = Bench()
    async with asyncio.timeout(SOON):
        assert await Batches(bench, limit=8)(3) == 9
    assert bench.batches == [[3]]


async def test_those_who_come_back_at_once_are_waited_for() -> None:
    bench = Bench()
    batches = Batches(bench, limit=8, pause_seconds=0.2)

    async def asks_twice(number: int, turns: int) -> None:
        await batches(number)
        for _ in range(turns):
            await asyncio.sleep(0)
        await batches(10 * number)

    async with asyncio.timeout(SOON):
        await asyncio.gather(*(asks_twice(number, turns=number) for number in (1, 2, 3)))
    assert bench.batches == [[1, 2, 3], [10, 20, 30]]


async def test_whoever_comes_alone_after_many_is_not_waited_for_without_end() -> None:
    bench = Bench()
    batches = Batches(bench, limit=8, pause_seconds=0.001)
    async with asyncio.timeout(SOON):
        await asyncio.gather(*(batches(number) for number in (1, 2, 3)))
        assert await batches(4) == 16
    assert bench.batches == [[1, 2, 3], [4]]


async def test_items_that_arrive_while_a_batch_is_under_way_make_the_next_one() -> None:
    bench = Bench()
    bench.gate.clear()
    batches = Batches(bench, limit=8)
    first = asyncio.create_task(batches(1))
    async with asyncio.timeout(SOON):
        await bench.began.wait()
        others = [asyncio.create_task(batches(number)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        assert bench.batches == [[1]]
        bench.gate.set()
        assert await asyncio.gather(first, *others) == [1, 4, 9, 16]
    assert bench.batches == [[1], [2, 3, 4]]


async def test_batch_holds_no_more_than_its_limit() -> None:
    bench = Bench()
    batches = Batches(bench, limit=3)
    async with asyncio.timeout(SOON):
        results = await asyncio.gather(*(batches(number) for number in range(10)))
    assert results == [number * number for number in range(10)]
    assert [len(batch) for batch in bench.batches] == [3, 3, 3, 1]


async def test_batches_run_one_after_the_other_however_many_wait() -> None:
    bench = Bench()
    batches = Batches(bench, limit=2)

    async def three_times(start: int) -> list[int]:
        return [await batches(start + step) for step in range(3)]

    async with asyncio.timeout(SOON):
        results = await asyncio.gather(*(three_times(10 * number) for number in range(20)))
    assert results == [[(10 * number + step) ** 2 for step in range(3)] for number in range(20)]
    assert bench.most_running == 1


async def test_only_the_culprit_fails_when_a_batch_does() -> None:
    bench = Bench()
    batches = Batches(bench, limit=8)
    async with asyncio.timeout(SOON):
        good, bad, better = await asyncio.gather(batches(2), batches(-1), batches(3), return_exceptions=True)
    assert (good, better) == (4, 9)
    assert isinstance(bad, LookupError)
    assert bench.batches == [[2, -1, 3], [2], [-1, 3], [-1], [3]]


async def test_to_find_one_culprit_among_many_a_batch_is_halved_and_not_repeated_item_by_item() -> None:
    bench = Bench()
    batches = Batches(bench, limit=128)
    numbers = [*range(1, 78), -1, *range(78, 128)]
    async with asyncio.timeout(SOON):
        results = await asyncio.gather(*(batches(number) for number in numbers), return_exceptions=True)
    assert [number for number, result in zip(numbers, results, strict=True) if isinstance(result, LookupError)] == [-1]
    assert [result for result in results if isinstance(result, int)] == [number**2 for number in range(1, 128)]
    assert [len(batch) for batch in bench.batches if -1 in batch] == [128, 64, 32, 16, 8, 4, 2, 1]
    assert len(bench.batches) == 1 + 2 * 7


async def test_batch_is_not_repeated_when_the_outcome_of_its_commit_is_unknown() -> None:
    batches_tried: list[int] = []

    async def work(items: Sequence[Part[int]]) -> Sequence[int]:
        batches_tried.append(len(items))
        raise Unavailable

    batches = Batches(work, limit=8)
    async with asyncio.timeout(SOON):
        results = await asyncio.gather(batches(1), batches(2), batches(3), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert batches_tried == [3]


async def test_work_goes_on_after_a_failure() -> None:
    bench = Bench()
    batches = Batches(bench, limit=8)
    async with asyncio.timeout(SOON):
        with pytest.raises(LookupError, match="-1 cannot be squared"):
            await batches(-1)
        assert await batches(5) == 25


async def test_waiter_that_left_before_the_work_began_is_left_out() -> None:
    bench = Bench()
    bench.gate.clear()
    batches = Batches(bench, limit=8)
    first = asyncio.create_task(batches(1))
    async with asyncio.timeout(SOON):
        await bench.began.wait()
        left, stayed = asyncio.create_task(batches(2)), asyncio.create_task(batches(3))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait({left})
        bench.gate.set()
        assert list(await asyncio.gather(first, stayed)) == [1, 9]
    assert left.cancelled()
    assert bench.batches == [[1], [3]]


async def test_waiter_that_left_in_mid_work_harms_no_other() -> None:
    bench = Bench()
    bench.gate.clear()
    batches = Batches(bench, limit=8)
    async with asyncio.timeout(SOON):
        left, failing, stayed = (asyncio.create_task(batches(number)) for number in (2, -5, 3))
        await bench.began.wait()
        left.cancel()
        await asyncio.wait({left})
        bench.gate.set()
        results = await asyncio.gather(failing, stayed, return_exceptions=True)
    assert bench.batches[0] == [2, -5, 3]
    assert isinstance(results[0], LookupError)
    assert results[1] == 9


async def test_nobody_waits_for_ever_when_the_work_is_cancelled_from_within() -> None:
    async def work(_items: Sequence[Part[int]]) -> Sequence[int]:
        raise asyncio.CancelledError

    batches = Batches(work, limit=8)
    async with asyncio.timeout(SOON):
        results = await asyncio.gather(batches(1), batches(2), return_exceptions=True)
    assert all(isinstance(result, BaseException) for result in results)


async def test_result_count_that_does_not_fit_is_told_to_all_who_wait() -> None:
    async def work(_items: Sequence[Part[int]]) -> Sequence[int]:
        return []

    batches = Batches(work, limit=8)
    async with asyncio.timeout(SOON):
        results = await asyncio.gather(batches(1), batches(2), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)


TRACE: ContextVar[str] = ContextVar("trace", default="nobody's")


class Witness:
    """Work that notes which context it sees: before the parts, in each of them, and after them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    async def __call__(self, parts: Sequence[Part[str]]) -> Sequence[str]:
        self._note("batch")
        results = [await part.run(self._serve(part.item)) for part in parts]
        self._note("batch")
        return results

    async def _serve(self, item: str) -> str:
        self._note(item)
        await asyncio.sleep(0)
        with structlog.contextvars.bound_contextvars(step="within"):
            await asyncio.sleep(0)
            self._note(item)
        TRACE.set("left behind")
        if item == "fails":
            raise LookupError(item)
        return TRACE.get()

    def _note(self, where: str) -> None:
        bound = structlog.contextvars.get_contextvars()
        self.seen.append((where, TRACE.get(), *(f"{key}={value}" for key, value in sorted(bound.items()))))


async def _call(batches: "Batches[str, str]", name: str) -> str:
    """A caller with a context of its own."""
    TRACE.set(f"trace of {name}")
    with structlog.contextvars.bound_contextvars(message_id=name):
        result = await batches(name)
        assert structlog.contextvars.get_contextvars() == {"message_id": name}
    assert TRACE.get() == f"trace of {name}"
    return result


async def test_each_part_of_a_batch_runs_in_the_context_of_its_caller_and_the_batch_in_none() -> None:
    witness = Witness()
    batches = Batches(witness, limit=8)
    async with asyncio.timeout(SOON):
        assert await asyncio.gather(*(_call(batches, name) for name in "ab")) == ["left behind"] * 2
    of_one = [
        [
            (name, f"trace of {name}", f"message_id={name}"),
            (name, f"trace of {name}", f"message_id={name}", "step=within"),
        ]
        for name in "ab"
    ]
    batch = ("batch", "nobody's")
    assert witness.seen == [batch, *of_one[0], *of_one[1], batch]


async def test_a_part_that_is_repeated_alone_begins_in_the_context_of_its_caller() -> None:
    witness = Witness()
    batches = Batches(witness, limit=8)
    async with asyncio.timeout(SOON):
        done, failed = await asyncio.gather(_call(batches, "good"), _call(batches, "fails"), return_exceptions=True)
    assert (done, type(failed)) == ("left behind", LookupError)
    first_steps = [entry for entry in witness.seen if entry[0] != "batch" and "step=within" not in entry]
    expected = {name: (name, f"trace of {name}", f"message_id={name}") for name in ("good", "fails")}
    assert first_steps == [expected[name] for name in ("good", "fails", "good", "fails")]


async def test_a_part_sees_that_its_batch_is_cancelled() -> None:
    seen: list[str] = []
    began = asyncio.Event()

    async def serve() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(Part("item").run(serve()))
    async with asyncio.timeout(SOON):
        await began.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert (task.cancelled(), seen) == (True, ["cancelled"])
