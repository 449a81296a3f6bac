"""Work that arrives while a batch is under way makes the next batch, so that one transaction serves many.

Comes in: one item from each caller, who waits for its result.
Goes out: all that have gathered, as parts, to `work`, which does them in one transaction; a result to each caller.
Called by: the reconcile loop, for commands to claim and answers to record; the gateway's writer, for objects to insert.

A lone item starts at once. Where that is asked for, a batch that follows one of several waits a moment for those who
have just been served and come back: half as many batches, each of twice as many. It waits only as long as more come.

A batch that fails is repeated in halves, down to one item, so that only the culprit sees the fault, and the others
share their transactions all the same: 15 of them for 128 items with one culprit.

A batch belongs to nobody: it runs in a context of its own, without what any caller has bound to theirs (for log lines,
for traces). What is done for one of them runs in that caller's context, if `work` does it through `Part.run`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from chandlery.model.faults import Unavailable
from chandlery.store.sealing.providers.key_provider import KeysAway

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
T = TypeVar("T")

_MOST_PAUSES: Final = 10


@dataclass(frozen=True)
class Part(Generic[ItemT]):
    """What a batch does for one caller."""

    item: ItemT
    context: Context = field(default_factory=copy_context, repr=False, compare=False)
    """The caller's, as it was when the item was handed over."""

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Do this in the caller's context; what the batch does before and after is not in it."""
        return await _Within(self.context.copy(), coroutine)


class _Within(Generic[T]):
    """Takes each step of a coroutine in a context: a task of its own would do so, too, but costs a turn of the loop."""

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, T]) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        step: Callable[[Any], Any] = self._coroutine.send
        given: Any = None
        try:
            while True:
                try:
                    awaited = self._context.run(step, given)
                except StopIteration as end:
                    result: T = end.value
                    return result
                try:
                    given, step = (yield awaited), self._coroutine.send
                except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's to see
                    given, step = error, self._coroutine.throw
        finally:
            self._coroutine.close()


class Batches(Generic[ItemT, ResultT]):
    """Hands items to `work` in batches; call it with an item to get that item's result."""

    def __init__(
        self,
        work: Callable[[Sequence[Part[ItemT]]], Awaitable[Sequence[ResultT]]],
        *,
        limit: int,
        pause_seconds: float = 0.0,
    ) -> None:
        """`work` returns one result for each part, in order; at most `limit` of them make a batch.

        Of those who are many at the moment somebody has to come in every pause, or the batch begins without the others.
        """
        self._work = work
        self._limit = limit
        self._pause_seconds = pause_seconds
        self._expected = 0
        self._waiting: deque[tuple[Part[ItemT], asyncio.Future[ResultT]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> ResultT:
        """The result for the item; raises what the work raised for it."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((Part(item), result))
        if self._runner is None or self._runner.done():
            # Whose item happens to be the first is no matter of the others.
            self._runner = asyncio.create_task(self._run(), context=Context())
        return await result

    async def _run(self) -> None:
        while self._waiting:
            if self._pause_seconds:
                await self._gather()
            size = min(len(self._waiting), self._limit)
            batch = [self._waiting.popleft() for _ in range(size)]
            # Whoever has stopped waiting before the work began is left out.
            batch = [(part, result) for part, result in batch if not result.done()]
            if batch:
                await self._serve(batch)
            self._expected = len(batch) + len(self._waiting)

    async def _gather(self) -> None:
        for _ in range(_MOST_PAUSES):
            there = len(self._waiting)
            if there >= min(self._expected, self._limit):
                return
            await asyncio.sleep(self._pause_seconds)
            if len(self._waiting) == there:
                return

    async def _serve(self, batch: Sequence[tuple[Part[ItemT], "asyncio.Future[ResultT]"]]) -> None:
        try:
            results = await self._work([part for part, _ in batch])
            pairs = list(zip(batch, results, strict=True))
        except asyncio.CancelledError:
            # Whatever gave the work up: nobody may wait for it for ever.
            for _, waiting in batch:
                waiting.cancel()
            if _is_being_cancelled():
                raise
            return
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits
            # What cannot be reached is no item's fault, and a commit of unknown outcome must not be repeated. But for a
            # data key, which some items can do without: then nothing was committed.
            if len(batch) == 1 or (isinstance(error, Unavailable) and not isinstance(error, KeysAway)):
                for _, waiting in batch:
                    _fail(waiting, error)
                return
            half = len(batch) // 2
            await self._serve(batch[:half])
            await self._serve(batch[half:])
            return
        for (_, waiting), result in pairs:
            if not waiting.done():
                waiting.set_result(result)


def _fail(waiting: "asyncio.Future[ResultT]", error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
