"""What services ask of the message bus: RabbitMQ and the in-process bus both keep to it, and one suite tests both.

Comes in: messages of `contracts/messages.py`, after the transaction that caused them has been committed; handlers of
workers and gateways, which are given one message at a time.
Goes out: each command to one consumer at least once, each event to everybody who listens at the moment. What handlers
fail on again and again goes to the dead letters.
Called by: `engine/relay.py` and `engine/requeue_timers.py`, which publish; `engine/worker.py`, which consumes; the
gateway's `main.py`, which subscribes to events; `chandlery deadletters`.

Nothing depends on a message that arrives: the database says what is due, and the sweep sends again what was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from chandlery.contracts.dead_letters import DeadLetter
from chandlery.contracts.messages import Message

Handler = Callable[[Message], Awaitable[None]]
"""Is given one message. Returning acknowledges it. Raising gives it back to its queue, to whoever is free; after
`MOST_FAILURES` of those, or `MOST_DELIVERIES` that were never answered, it goes to the dead letters of its kind."""


class Subscription(Protocol):
    """Something that is being listened to."""

    async def close(self) -> None:
        """Take no new message, and wait until the handlers under way have finished. Idempotent.

        What was not handed to a handler yet goes back to its queue. Not for the subscription's own handler to call.
        """

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None] | None":
        """Run what no message has brought, beside the handlers; see `HandlerSlots`. None once it is being closed."""


class Bus(Protocol):
    """Publish and subscribe. Every method may be called from many tasks at once."""

    async def start(self) -> None:
        """Connect and declare what is always there. Waits with back-off until the server answers, and logs that."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the bus has taken responsibility for all of them (publisher confirms).

        Work queues that a command needs are declared first, so that no command is unroutable. Waits for a connection
        that is being opened again, and for a server that takes nothing for now. Raises Unavailable when not all were
        taken within the bus's patience (10 seconds), and at once when the connection breaks under way. Some may have
        been taken then: publish all of them again, duplicates are harmless.
        """

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        """Hand commands for these kinds on this lane to the handler, at most `concurrency` at a time.

        A handler that has only to write down what it has learned says so (`handler_slots.leave_slot`), and the next one
        begins: of four or more, twice as many may be on their way (prefetch).
        A message is acknowledged after its handler returned. Survives the loss of the connection: handlers under way go
        on, but what they work on is delivered again. Returns when the listening has begun, however long that takes.
        Raises Unavailable before start and after close.
        """

    async def remove_queues(self, kinds: Sequence[str], lane: str) -> bool:
        """Remove the lane's work queues for these kinds, as its service broker is gone.

        A queue that somebody listens to, or that has commands in it, stays. Returns False if commands wait in one that
        nobody listens to: listen until they are worked off, then remove it again. Raises Unavailable.
        """

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        """Hand every event whose routing key matches the topic pattern (`ObjectChanged.*`, `#`) to the handler.

        From now on, to this subscriber only, one at a time and in order (what is given back may come later). Nothing is
        kept while nobody listens, and what is published while the connection is lost is missed: who needs every change
        looks into the database as well.
        Raises Unavailable before start and after close.
        """

    async def ping(self) -> None:
        """Raise Unavailable unless the bus is reachable and takes messages now."""

    async def count_dead_letters(self) -> Mapping[str, int]:
        """How many messages were given up on, by the names of DEAD_LETTER_QUEUES. Raises Unavailable."""

    async def close(self) -> None:
        """End all subscriptions (waiting for their handlers), then the connection. Idempotent; the bus stays closed.

        When the caller stops waiting (cancellation), handlers under way are cancelled, and their messages go back.
        """


class DeadLetters(Protocol):
    """What was given up on. Raises Unavailable when the bus cannot be reached."""

    async def all(self) -> Sequence[DeadLetter]:
        """Every letter, by queue, oldest first. They stay where they are."""

    async def replay(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        """Put these messages where they came from, with a clean history; returns those that were found.

        A letter leaves its queue when the bus has confirmed the message: an interruption may double it, never lose it.
        Events reach whoever subscribes now. A letter without a way back stays, and is not returned.
        """

    async def drop(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        """Remove these for good; returns those that were found."""
