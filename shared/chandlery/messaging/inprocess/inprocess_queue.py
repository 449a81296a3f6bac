"""Queues and consumers of the in-process bus. All of it runs in one event loop, so nothing needs a lock."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from chandlery.contracts.dead_letters import DeadLetter, History, Reason
from chandlery.contracts.messages import Message, UnreadableMessage, encode, require_sound
from chandlery.contracts.topology import DEAD_LETTER_QUEUES, route
from chandlery.messaging.bus import Handler
from chandlery.messaging.handler_slots import HandlerSlots
from chandlery.messaging.handling import failure_of, say_buried, say_failed
from chandlery.messaging.message_counting import Handled, MessageCounting
from chandlery.messaging.message_traces import MessageTraces

MOST_DEAD_LETTERS = 10_000
"""In one queue. The oldest are dropped beyond: they are for people to look at, the truth is in the database."""


class InProcessDeadLetters:
    """The `DeadLetters` of one in-process bus."""

    def __init__(self, put: Callable[[Message, str, str], None]) -> None:
        """`put` routes a message with this id and this trace; it raises Unavailable when the bus is closed."""
        self._put = put
        self._letters: dict[str, list[DeadLetter]] = {origin: [] for origin in DEAD_LETTER_QUEUES}

    def add(self, letter: DeadLetter) -> None:
        """Keep what was given up on."""
        kept = self._letters[letter.origin]
        kept.append(letter)
        del kept[:-MOST_DEAD_LETTERS]

    def count(self) -> Mapping[str, int]:
        """How many there are, by queue."""
        return {DEAD_LETTER_QUEUES[origin]: len(kept) for origin, kept in self._letters.items()}

    async def all(self) -> Sequence[DeadLetter]:
        return [letter for kept in self._letters.values() for letter in kept]

    async def replay(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        found = [letter for letter in await self.all() if letter.id in ids]
        replayed = [letter for letter in found if self._is_put_back(letter)]
        return self._remove(replayed)

    async def drop(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        return self._remove([letter for letter in await self.all() if letter.id in ids])

    def _is_put_back(self, letter: DeadLetter) -> bool:
        message = letter.message
        if message is None:
            return False
        self._put(message, letter.id, letter.trace)
        return True

    def _remove(self, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        for letter in letters:
            # The message may have failed anew by now: only the old letter goes.
            self._letters[letter.origin] = [kept for kept in self._letters[letter.origin] if kept is not letter]
        return letters


@dataclass(frozen=True)
class QueuedMessage:
    """A message on its way to a handler."""

    id: str
    message: Message
    queue: "Queue"
    trace: str = ""
    history: History = field(default_factory=History)

    def letter(self, reason: Reason) -> DeadLetter:
        """What is kept of it when it is given up on."""
        return DeadLetter(
            id=self.id,
            queue=self.queue.name,
            routing_key=route(self.message).routing_key,
            body=encode(self.message),
            reason=reason,
            history=self.history,
            last_at=datetime.now(UTC),
            trace=self.trace,
        )


@dataclass
class Queue:
    """Messages that wait, and who takes them, whoever waited longest first."""

    name: str
    waiting: deque[QueuedMessage] = field(default_factory=deque)
    consumers: "deque[Consumer]" = field(default_factory=deque)

    def put(self, delivery: QueuedMessage) -> None:
        self.waiting.append(delivery)
        self.pump()

    def give_back(self, delivery: QueuedMessage) -> None:
        """It was delivered and not answered."""
        self.waiting.appendleft(replace(delivery, history=delivery.history.lost(datetime.now(UTC))))
        self.pump()

    def pump(self) -> None:
        while self.waiting:
            consumer = next((each for each in self.consumers if each.slots.is_free), None)
            if consumer is None:
                return
            self.consumers.remove(consumer)
            self.consumers.append(consumer)
            consumer.slots.offer(self.waiting.popleft())


class Consumer:
    """A subscription to one or more queues."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        queues: Sequence[Queue],
        handler: Handler,
        *,
        limit: int,
        bury: Callable[[DeadLetter], None],
        forget: Callable[["Consumer"], None],
        counting: MessageCounting,
        traces: MessageTraces,
    ) -> None:
        self._queues = tuple(queues)
        self._handler = handler
        self._bury = bury
        self._forget = forget
        self._counting = counting
        self._traces = traces
        self.slots: HandlerSlots[QueuedMessage] = HandlerSlots(self._work, limit=limit, on_free=self._pump)
        for queue in self._queues:
            queue.consumers.append(self)
        self._pump()

    async def close(self) -> None:
        self.slots.stop()
        for queue in self._queues:
            if self in queue.consumers:
                queue.consumers.remove(self)
        await self.slots.settle()
        self._forget(self)

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        return self.slots.run_beside(work)

    def _pump(self) -> None:
        for queue in self._queues:
            queue.pump()

    async def _work(self, delivery: QueuedMessage) -> None:
        try:
            require_sound(delivery.message)
        except UnreadableMessage as unreadable:
            history = delivery.history.failed(unreadable, datetime.now(UTC))
            self._give_up(replace(delivery, history=history), Reason.UNREADABLE)
            self._counting.handled(None, Handled.GIVEN_UP)
            return
        try:
            within = self._traces.processing(delivery.message, delivery.trace, queue=delivery.queue.name)
            with self._counting.handling(delivery.message):
                error = await failure_of(self._handler, delivery.message, within=within, id=delivery.id)
        except asyncio.CancelledError:
            delivery.queue.give_back(delivery)
            raise
        if error is None:
            self._counting.handled(delivery.message, Handled.DONE)
        else:
            self._reject(replace(delivery, history=delivery.history.failed(error, datetime.now(UTC))))

    def _reject(self, delivery: QueuedMessage) -> None:
        verdict = delivery.history.verdict
        self._counting.handled(delivery.message, Handled.GIVEN_BACK if verdict is None else Handled.GIVEN_UP)
        if verdict is None:
            say_failed(delivery.history, message_id=delivery.id, queue=delivery.queue.name)
            delivery.queue.put(delivery)
            return
        self._give_up(delivery, verdict)

    def _give_up(self, delivery: QueuedMessage, reason: Reason) -> None:
        letter = delivery.letter(reason)
        self._bury(letter)
        say_buried(letter)
