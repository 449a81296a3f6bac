"""One message as it was delivered, and the three ways to be done with it."""

from dataclasses import dataclass

import structlog
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from chandlery.contracts.messages import Message
from chandlery.messaging.rabbitmq_publisher import letter

log = structlog.get_logger(__name__)

REASON_HEADER = "x-chandlery-reason"
"""On a dead letter: the class name of what went wrong. Never more, because texts of exceptions can quote data."""
QUEUE_HEADER = "x-chandlery-queue"


@dataclass(frozen=True)
class Delivery:
    """Can only be settled on the channel it came through. The methods raise the client's errors when that is gone."""

    received: AbstractIncomingMessage
    queue: str
    dead_letters: AbstractExchange
    """On the same channel."""

    @property
    def is_second(self) -> bool:
        """Whether it was delivered before. Classic queues keep no count, only this flag."""
        return bool(self.received.redelivered)

    async def acknowledge(self) -> None:
        await self.received.ack()

    async def give_back(self) -> None:
        await self.received.reject(requeue=True)

    async def bury(self, failure: BaseException, *, message: Message | None = None) -> None:
        """Put a copy with the dead letters, as a rejection cannot carry a reason; acknowledge when it is confirmed."""
        reason = type(failure).__name__
        copy = letter(
            self.received.body,
            message.type if message else "unreadable",
            headers={REASON_HEADER: reason, QUEUE_HEADER: self.queue},
        )
        await self.dead_letters.publish(copy, self.received.routing_key or "", mandatory=False)
        await self.acknowledge()
        log.error(
            "A message was put with the dead letters",
            action="dead_letter_message",
            queue=self.queue,
            reason=reason,
            uid=getattr(message, "uid", ""),
        )
