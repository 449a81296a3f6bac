"""What services ask of the message bus. RabbitMQ and its in-process twin keep to it; one suite tests both."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from chandlery.contracts.messages import Message

Handler = Callable[[Message], Awaitable[None]]
"""Is given one message. Returning acknowledges it. Raising gives it back once, then sends it to the dead letters."""


class Subscription(Protocol):
    """Something that is being listened to."""

    async def close(self) -> None:
        """Take no new message, and wait until the handlers under way have finished. Idempotent.

        What was not handed to a handler yet goes back to its queue. Not for the subscription's own handler to call.
        """


class Bus(Protocol):
    """Publish and subscribe. Every method may be called from many tasks at once."""

    async def start(self) -> None:
        """Connect and declare what is always there. Waits with back-off until the server answers, and logs that."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the bus has taken responsibility for all of them (publisher confirms).

        Work queues that a command needs are declared first, so that no command is unroutable. Waits for a connection
        that is being opened again. Raises Unavailable when not all were taken within the bus's patience (10 seconds),
        and at once when the connection breaks under way. Some may have been taken then: publish all of them again,
        duplicates are harmless.
        """

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        """Hand commands for these kinds on this lane to the handler, at most `concurrency` at a time (prefetch).

        A message is acknowledged after its handler returned. Survives the loss of the connection: handlers under way go
        on, but what they work on is delivered again. Returns when the listening has begun, however long that takes.
        Raises Unavailable before start and after close.
        """

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        """Hand every event whose routing key matches the topic pattern (`ObjectChanged.*`, `#`) to the handler.

        From now on, to this subscriber only, one at a time and in order (what is given back may come later). Nothing is
        kept while nobody listens, and what is published while the connection is lost is missed: who needs every change
        looks into the database as well.
        Raises Unavailable before start and after close.
        """

    async def ping(self) -> None:
        """Raise Unavailable unless the bus is reachable now."""

    async def close(self) -> None:
        """End all subscriptions (waiting for their handlers), then the connection. Idempotent; the bus stays closed.

        When the caller stops waiting (cancellation), handlers under way are cancelled, and their messages go back.
        """
