"""One message as it was delivered, and the three ways to be done with it."""

from collections.abc import Awaitable
from dataclasses import dataclass

import structlog
from aiormq import Channel
from aiormq.abc import DeliveredMessage

from chandlery.contracts.messages import Message
from chandlery.messaging.rabbitmq_publisher import message_properties

log = structlog.get_logger(__name__)

REASON_HEADER = "x-chandlery-reason"
"""On a dead letter: the class name of what went wrong. Never more, because texts of exceptions can quote data."""
QUEUE_HEADER = "x-chandlery-queue"


@dataclass(frozen=True)
class Delivery:
    """Can only be settled on the channel it came through. The methods raise the client's errors when that is gone."""

    channel: Channel
    queue: str
    received: DeliveredMessage

    @property
    def is_second(self) -> bool:
        """Whether it was delivered before. Classic queues keep no count, only this flag."""
        return bool(self.received.redelivered)

    def acknowledge(self) -> Awaitable[None]:
        return self.channel.basic_ack(self.received.delivery_tag or 0, wait=False)

    def give_back(self) -> Awaitable[None]:
        return self.channel.basic_nack(self.received.delivery_tag or 0, requeue=True, wait=False)

    async def bury(self, failure: BaseException, *, exchange: str, message: Message | None = None) -> None:
        """Put a copy with the dead letters, as a rejection cannot carry a reason; acknowledge when it is confirmed."""
        reason = type(failure).__name__
        await self.channel.basic_publish(
            self.received.body,
            exchange=exchange,
            routing_key=self.received.routing_key or "",
            properties=message_properties(
                message.type if message else "unreadable", headers={REASON_HEADER: reason, QUEUE_HEADER: self.queue}
            ),
        )
        await self.acknowledge()
        log.error(
            "A message was put with the dead letters",
            action="dead_letter_message",
            queue=self.queue,
            reason=reason,
            uid=getattr(message, "uid", ""),
        )
