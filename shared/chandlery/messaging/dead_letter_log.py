"""What both twins say when a handler has failed and when a message is given up on. Never an exception's text."""

import structlog

from chandlery.contracts.dead_letters import DeadLetter, History

log = structlog.get_logger(__name__)


def say_failed(history: History, *, message_id: str, queue: str) -> None:
    """Log that a message comes once more."""
    log.warning(
        f"A handler raised {history.error}; its message comes again",
        action="retry_message",
        queue=queue,
        message_id=message_id,
        reason=history.error,
        deliveries=history.deliveries,
    )


def say_buried(letter: DeadLetter) -> None:
    """Log that a message does not come any more."""
    log.error(
        "A message was put with the dead letters",
        action="dead_letter_message",
        queue=letter.queue,
        message_id=letter.id,
        reason=str(letter.reason),
        error=letter.history.error,
        deliveries=letter.history.deliveries,
        trace=letter.trace,
        uid=getattr(letter.message, "uid", ""),
    )
