"""Running handlers, a limited number at once. Both buses put what is delivered to a subscription into its slots.

What is limited is calls to a service broker. A handler that has its answer leaves its slot, and writes down what it has
learned while the next one is calling: so more of them meet in one transaction.
"""

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Generic, TypeVar

import structlog

from chandlery.contracts.dead_letters import DeadLetter, History
from chandlery.contracts.messages import Message
from chandlery.messaging.bus import Handler

log = structlog.get_logger(__name__)

_TRACE_ID: Final = slice(3, 35)
"""Where the id of a trace stands in a `traceparent`."""
NO_SPAN: Final = nullcontext()


def say_failed(history: History, *, message_id: str, queue: str) -> None:
    """Log that a message comes once more."""
    log.warning(
        f"A handler raised {history.error}; its message will be redelivered",
        action="retry_message",
        queue=queue,
        message_id=message_id,
        error=history.error,
        deliveries=history.deliveries,
    )


def say_buried(letter: DeadLetter) -> None:
    """Log that a message does not come any more."""
    log.error(
        "A message was moved to the dead letters",
        action="dead_letter_message",
        queue=letter.queue,
        message_id=letter.id,
        reason=str(letter.reason),
        error=letter.history.error,
        deliveries=letter.history.deliveries,
        trace_id=letter.trace[_TRACE_ID],
        uid=getattr(letter.message, "uid", ""),
    )


def _say_handled(message: Message, seconds: float) -> None:
    kind, uid, lane = (getattr(message, field, None) for field in ("kind", "uid", "lane"))
    ms = round(seconds * 1000, 3)
    what = f"{message.type} was handled in {ms:.0f} ms"
    log.debug(what, action="handle_message", kind=kind, uid=uid, lane=lane, ms=ms)


Item = TypeVar("Item")
_AHEAD: Final = 2
"""How many times as many messages are taken as handlers hold a slot."""
_FEW: Final = 4


async def failure_of(
    handler: Handler,
    message: Message,
    *,
    within: AbstractContextManager[object] = NO_SPAN,
    id: str = "",  # noqa: A002
) -> BaseException | None:
    """Run the handler; answer what it raised. Only a cancellation of the running task itself is raised from here.

    Its log lines bear the message's id, by which they are found again when it ends with the dead letters. It runs
    `within` the span of its processing.
    """
    began = time.monotonic()
    try:
        with within, structlog.contextvars.bound_contextvars(message_id=id):
            await handler(message)
            if log.is_enabled_for(logging.DEBUG):
                _say_handled(message, time.monotonic() - began)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Something that the handler waited for was cancelled, not the handler: a failure like others.
        return error
    except Exception as error:  # noqa: BLE001 - whatever a handler raises decides about its message
        return error
    return None


class Slot:
    """One handler's share of what may run at a time: it may leave it early, and come back."""

    def __init__(self, enter: Callable[[], Coroutine[Any, Any, None]], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave
        self._is_held = True

    def leave(self) -> None:
        """Let another handler start. Harmless if that was said before."""
        if self._is_held:
            self._is_held = False
            self._leave()

    async def enter(self) -> None:
        """Wait for a slot again, unless it was not left."""
        if not self._is_held:
            await self._enter()
            self._is_held = True


_SLOT: ContextVar[Slot | None] = ContextVar("slot", default=None)


def leave_slot() -> None:
    """Of a handler that has only to write down what it has learned: let the next one start meanwhile."""
    if (slot := _SLOT.get()) is not None:
        slot.leave()


async def enter_slot() -> None:
    """Of a handler that has left its slot and goes on to what counts."""
    if (slot := _SLOT.get()) is not None:
        await slot.enter()


def most_taken(limit: int) -> int:
    """How many messages a subscription takes at a time: those that have left their slots come on top.

    Where few may run, one that waits here is one that another process could begin with.
    """
    return limit if limit < _FEW else _AHEAD * limit


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
        self._on_free = on_free
        self._waiting: deque[Item] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False
        # What is logged belongs to whoever listens, and not to whoever happened to publish in this process.
        self._context = contextvars.copy_context()

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
        """Start nothing any more."""
        self._stopped = True

    async def settle(self) -> None:
        """Return when nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def abandon(self) -> None:
        """Cancel what runs."""
        self.stop()
        for task in self._running:
            task.cancel()
        await self.settle()

    def _start(self, item: Item) -> None:
        self._held += 1
        slot, context = Slot(self._enter, self._leave), self._context.copy()
        context.run(_SLOT.set, slot)
        task = asyncio.create_task(self._work(item), context=context)
        self._running.add(task)
        task.add_done_callback(partial(self._finished, slot))

    def _finished(self, slot: Slot, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        slot.leave()
        self._go_on()

    def _leave(self) -> None:
        self._held -= 1
        self._go_on()

    async def _enter(self) -> None:
        if self._held < self._limit and not self._coming_back:
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming_back.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _go_on(self) -> None:
        while self._coming_back and self._held < self._limit:
            turn = self._coming_back.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
        while self._waiting and self.is_free:
            self._start(self._waiting.popleft())
        if self.is_free:
            self._on_free()
