"""Running handlers, a limited number at once. Both buses put what is delivered to a subscription into its slots."""

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
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
        self._on_free = on_free
        self._waiting: deque[Item] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False
        # What is logged belongs to whoever listens, and not to whoever happened to publish in this process.
        self._context = contextvars.copy_context()

    @property
    def is_free(self) -> bool:
        """Whether an item offered now would be started now."""
        return not self._stopped and len(self._running) < self._limit

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
        task = asyncio.create_task(self._work(item), context=self._context.copy())
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self.is_free:
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._on_free()
