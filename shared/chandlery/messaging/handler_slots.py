"""Running handlers, a limited number at once. Both buses put what is delivered to a subscription into its slots.

What is limited is calls to a service broker. A handler that has its answer leaves its slot, and writes down what it has
learned while the next one is calling: so more of them meet in one transaction. What no message has brought runs beside
the handlers (`run_beside`) and shares their slots, in turns with them.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Generic, TypeVar

import structlog
from opentelemetry.context import Context, attach

Item = TypeVar("Item")
_AHEAD: Final = 2
"""How many times as many messages are taken as handlers hold a slot."""
_FEW: Final = 4


class Slot:
    """One handler's share of what may run at a time: it may leave it early, and come back."""

    def __init__(
        self, enter: Callable[[], Coroutine[Any, Any, None]], leave: Callable[[], None], *, is_beside: bool = False
    ) -> None:
        """Who runs `is_beside` the handlers of messages begins without a slot."""
        self._enter = enter
        self._leave = leave
        self._is_held = not is_beside
        self.was_used = not is_beside
        self.is_beside = is_beside

    def leave(self) -> None:
        """Let another handler start. Harmless if that was said before."""
        if self._is_held:
            self._is_held = False
            self._leave()

    async def enter(self) -> None:
        """Wait for a slot again, unless it was not left. Cancelled if it is for nobody any more (see `stop`)."""
        if not self._is_held:
            await self._enter()
            self._is_held = self.was_used = True


_SLOT: ContextVar[Slot | None] = ContextVar("slot", default=None)


def leave_slot(*, is_unused: bool = False) -> None:
    """Of a handler that has only to write down what it has learned: let the next one start meanwhile."""
    if (slot := _SLOT.get()) is not None:
        slot.was_used &= not is_unused
        slot.leave()


async def enter_slot() -> None:
    """Of a handler that has left its slot and goes on to what counts."""
    if (slot := _SLOT.get()) is not None:
        await slot.enter()


def runs_beside() -> bool:
    """Whether no message has brought what runs here: many such begin together, before they wait for their slots."""
    return (slot := _SLOT.get()) is not None and slot.is_beside


def has_used_slot() -> bool:
    """Whether what runs here holds a slot, or has held one and did not say that it had no use for it."""
    return (slot := _SLOT.get()) is not None and slot.was_used


def most_taken(limit: int) -> int:
    """How many messages a subscription takes at a time: those that have left their slots come on top.

    Where few may run, one that waits here is one that another process could begin with.
    """
    return limit if limit < _FEW else _AHEAD * limit


def _context_of_listener() -> contextvars.Context:
    """The one of now, without the message and the span in which somebody may have begun to listen."""
    context = contextvars.copy_context()
    context.run(structlog.contextvars.unbind_contextvars, "message_id")
    context.run(attach, Context())
    return context


class HandlerSlots(Generic[Item]):
    """Runs `work` on each item in a task of its own, in the order offered, at most `limit` at a time."""

    def __init__(
        self,
        work: Callable[[Item], Coroutine[Any, Any, None]],
        *,
        limit: int,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        """`work` must not raise. `on_free` is called when a slot became free and nothing was waiting for it."""
        if limit < 1:
            raise ValueError("at least one handler must be allowed to run")
        self._work = work
        self._limit = limit
        self._most = most_taken(limit)
        self._held = 0
        self._coming_back: deque[asyncio.Future[None]] = deque()
        self._coming_beside: deque[asyncio.Future[None]] = deque()
        self._is_turn_of_items = False
        self._on_free = on_free
        self._waiting: deque[Item] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._stopped = False
        # What is logged belongs to whoever listens, and not to whoever happened to publish in this process.
        self._context = _context_of_listener()

    @property
    def is_free(self) -> bool:
        """Whether an item offered now would be started now."""
        return not self._stopped and self._held < self._limit and len(self._running) < self._most

    def offer(self, item: Item) -> None:
        """Start on the item, or keep it until a slot is free."""
        if self.is_free:
            self._start(item)
        else:
            self._waiting.append(item)

    def withdraw(self) -> list[Item]:
        """The items that were not started; they are the caller's again."""
        items = list(self._waiting)
        self._waiting.clear()
        return items

    def stop(self) -> None:
        """Start nothing any more. What runs beside the handlers and waits for a slot has called nobody: cancel it."""
        self._stopped = True
        while self._coming_beside:
            self._coming_beside.popleft().cancel()

    async def settle(self) -> None:
        """Return when nothing runs."""
        while running := self._running | self._beside:
            await asyncio.wait(running)

    async def abandon(self) -> None:
        """Cancel what runs."""
        self.stop()
        for task in self._running | self._beside:
            task.cancel()
        await self.settle()

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        """Run what no message has brought, and what takes a slot when it enters one. It must not raise.

        None once nothing is to be started any more.
        """
        if self._stopped:
            return None
        slot = Slot(self._enter_beside, self._leave, is_beside=True)
        return self._task_of(work(), slot, self._beside)

    def _start(self, item: Item) -> None:
        self._held += 1
        self._task_of(self._work(item), Slot(partial(self._enter, self._coming_back), self._leave), self._running)

    def _task_of(
        self, work: Coroutine[Any, Any, None], slot: Slot, group: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        context = self._context.copy()
        context.run(_SLOT.set, slot)
        task = asyncio.create_task(work, context=context)
        group.add(task)
        task.add_done_callback(partial(self._finished, slot, group))
        return task

    def _finished(self, slot: Slot, group: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        group.discard(task)
        slot.leave()
        self._go_on()

    def _leave(self) -> None:
        self._held -= 1
        self._go_on()

    async def _enter_beside(self) -> None:
        if self._stopped:
            raise asyncio.CancelledError
        await self._enter(self._coming_beside)

    async def _enter(self, line: deque[asyncio.Future[None]]) -> None:
        if self._held < self._limit and not self._coming_back and not line:
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _go_on(self) -> None:
        while self._held < self._limit and (self._let_in(self._coming_back) or self._let_next_in()):
            pass

    def _let_next_in(self) -> bool:
        """Somebody new: a message's handler and what runs beside them, in turns."""
        self._is_turn_of_items = not self._is_turn_of_items
        if self._is_turn_of_items:
            return self._start_next() or self._let_in(self._coming_beside)
        return self._let_in(self._coming_beside) or self._start_next()

    def _start_next(self) -> bool:
        if not self.is_free:
            return False
        before = self._held
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._on_free()
        return self._held > before

    def _let_in(self, line: deque[asyncio.Future[None]]) -> bool:
        while line:
            turn = line.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
                return True
        return False
