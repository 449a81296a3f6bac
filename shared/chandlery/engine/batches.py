"""Work that arrives while a batch is under way makes the next batch, so that one transaction serves many.

No artificial delay: a lone item starts at once. A batch that fails is repeated item by item, so that only the culprit
sees the fault.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from chandlery.model.faults import Unavailable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Batches(Generic[ItemT, ResultT]):
    """Hands items to `work` in batches; call it with an item to get that item's result."""

    def __init__(self, work: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]], *, limit: int) -> None:
        """`work` returns one result for each item, in order; at most `limit` items make a batch."""
        self._work = work
        self._limit = limit
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> ResultT:
        """The result for the item; raises what the work raised for it."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await result

    async def _run(self) -> None:
        # A batch is of many messages: what is logged in it must not bear the name of the first of them.
        structlog.contextvars.unbind_contextvars("message_id")
        while self._waiting:
            size = min(len(self._waiting), self._limit)
            batch = [self._waiting.popleft() for _ in range(size)]
            # Whoever has stopped waiting before the work began is left out.
            batch = [(item, result) for item, result in batch if not result.done()]
            if batch:
                await self._serve(batch)

    async def _serve(self, batch: Sequence[tuple[ItemT, "asyncio.Future[ResultT]"]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
            pairs = list(zip(batch, results, strict=True))
        except asyncio.CancelledError:
            # Whatever gave the work up: nobody may wait for it for ever.
            for _, waiting in batch:
                waiting.cancel()
            if _is_being_cancelled():
                raise
            return
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits
            # What cannot be reached is no item's fault, and a commit of unknown outcome must not be repeated.
            if len(batch) == 1 or isinstance(error, Unavailable):
                for _, waiting in batch:
                    _fail(waiting, error)
                return
            for entry in batch:
                await self._serve([entry])
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
