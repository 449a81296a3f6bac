"""One message as it was delivered, and the ways to be done with it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aio_pika.abc import AbstractIncomingMessage

from chandlery.contracts.dead_letters import TRACE_HEADER, DeadLetter, History, Reason, trace_in
from chandlery.contracts.messages import MOST_BYTES
from chandlery.contracts.topology import COMMANDS_EXCHANGE, DEAD_LETTER_EXCHANGE, EVENTS_EXCHANGE, Route, origin_of
from chandlery.messaging.handling import say_buried, say_failed
from chandlery.messaging.rabbitmq.rabbitmq_messages import NATIVE_COUNT_HEADER, dead_letter, letter, message_id_of
from chandlery.messaging.rabbitmq.rabbitmq_publisher import RabbitPublisher

MOST_KEPT_BYTES = 16 * MOST_BYTES
"""Of what is put with the dead letters."""


@dataclass(frozen=True)
class Delivery:
    """Can only be settled on the channel it came through; that raises the client's errors when the channel is gone.

    What it says anew goes through the publisher, on another connection, and is confirmed before this one is
    acknowledged: an interruption may double a message, never lose it.
    """

    received: AbstractIncomingMessage
    queue: str
    """By the contract's name."""
    publisher: RabbitPublisher

    @property
    def id(self) -> str:
        return message_id_of(self.received)

    @property
    def history(self) -> History:
        """Of the deliveries before this one."""
        told = History.of(self.received.headers)
        lost = self._native_count if self._native_count is not None else int(bool(self.received.redelivered))
        return told.lost(datetime.now(UTC), times=lost) if lost else told

    @property
    def is_uncounted(self) -> bool:
        """Whether an earlier delivery came to nothing and nobody counts that: a classic queue has a flag only."""
        return bool(self.received.redelivered) and self._native_count is None

    async def acknowledge(self) -> None:
        await self.received.ack()

    async def give_back(self) -> None:
        await self.received.reject(requeue=True)

    async def count(self) -> None:
        """Put it at the end of its queue with its history up to now, to be handled when it comes from there."""
        await self._again(self.history)

    async def failed(self, error: BaseException) -> bool:
        """Let it come again, or put it with the dead letters when it has failed often enough; whether it is there."""
        history = self.history.failed(error, datetime.now(UTC))
        verdict = history.verdict
        if verdict is not None:
            await self.bury(verdict, history)
            return True
        await self._again(history)
        say_failed(history, message_id=self.id, queue=self.queue)
        return False

    async def bury(self, reason: Reason, history: History) -> None:
        """Put it with the dead letters. A copy, as a rejection could not carry all that."""
        given_up = DeadLetter(
            id=self.id,
            queue=self.queue,
            routing_key=self.received.routing_key or "",
            # What is longer is no message of ours anyway.
            body=self.received.body[:MOST_KEPT_BYTES],
            reason=reason,
            history=history,
            last_at=datetime.now(UTC),
            trace=self.trace,
        )
        await self.publisher.put(Route(DEAD_LETTER_EXCHANGE, given_up.origin), dead_letter(given_up))
        await self.acknowledge()
        say_buried(given_up)

    async def _again(self, history: History) -> None:
        headers = history.headers() | ({TRACE_HEADER: self.trace} if self.trace else {})
        copy = letter(self.received.body, self.received.type or "", headers=headers, message_id=self.id)
        # Each queue has this route to itself. A subscriber's may be gone by now, and is then not needed any more.
        is_lasting = origin_of(self.queue) != EVENTS_EXCHANGE
        await self.publisher.put(Route(COMMANDS_EXCHANGE, self.queue), copy, mandatory=is_lasting)
        await self.acknowledge()

    @property
    def trace(self) -> str:
        """That of whoever published it."""
        return trace_in(self.received.headers)

    @property
    def _native_count(self) -> int | None:
        told = self.received.headers.get(NATIVE_COUNT_HEADER)
        return told if isinstance(told, int) else None
