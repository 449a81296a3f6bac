"""Answers that count for a while, and questions that are asked once for all who want to know: for reviews.

A failure is never remembered: while whoever knows is away, nothing that is older than it may be is used instead.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from chandlery.model.faults import Unavailable

Answer = TypeVar("Answer")

_MOST_REMEMBERED: Final = 8192
"""As many as Kubernetes' own servers keep."""
_MOST_UNDER_WAY: Final = 1_000
"""Questions that are asked or wait for their turn: who comes then is sent away, not kept in memory."""


class RememberedAnswers(Generic[Answer]):
    """Of questions of one kind, told apart by digests."""

    def __init__(
        self,
        *,
        at_once: int,
        most: int = _MOST_REMEMBERED,
        most_under_way: int = _MOST_UNDER_WAY,
        on_remembered: Callable[[], None] = lambda: None,
    ) -> None:
        """So many are kept, and so many asked at the same time; others wait, as many as may be under way.

        `on_remembered` is called whenever somebody gets an answer that was not asked for anew.
        """
        self._most = most
        self._most_under_way = most_under_way
        self._on_remembered = on_remembered
        self._turn = asyncio.Semaphore(at_once)
        self._known: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[Answer]] = {}

    def __len__(self) -> int:
        return len(self._known)

    async def get(
        self, key: bytes, ask: Callable[[], Awaitable[Answer]], *, seconds: Callable[[Answer], float]
    ) -> Answer:
        """The answer, asked for no longer ago than it counts, as `seconds` says.

        Raises what `ask` raises, and Unavailable while too many questions are under way.
        """
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0] + seconds(known[1]):
            self._known.move_to_end(key)
            self._on_remembered()
            return known[1]
        task = self._asked.get(key)
        if task is not None:
            self._on_remembered()
        else:
            if len(self._asked) >= self._most_under_way:
                raise Unavailable("too much has to be asked of the cluster at once; try again shortly")
            task = self._asked[key] = asyncio.create_task(self._answered(key, ask))
            task.add_done_callback(_look)
        # Whoever gives up leaves the others their answer.
        return await asyncio.shield(task)

    async def _answered(self, key: bytes, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            async with self._turn:
                # From before the question: what changes while it is under way may not be in the answer.
                began = time.monotonic()
                answer = await ask()
            self._known.pop(key, None)
            self._known[key] = (began, answer)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
            return answer
        finally:
            del self._asked[key]


def _look(task: "asyncio.Task[object]") -> None:
    """If all who wanted to know have given up, nobody else does."""
    if not task.cancelled():
        task.exception()
