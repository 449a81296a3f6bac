"""Running one handler on one message, and what is said of how that ends. The same for both buses."""

import asyncio
import logging
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Final

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
