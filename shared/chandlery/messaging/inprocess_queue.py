"""Queues and consumers of the in-process bus. All of it runs in one event loop, so nothing needs a lock."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from chandlery.contracts.messages import Message
from chandlery.messaging.bus import Handler
from chandlery.messaging.handler_slots import HandlerSlots, failure_of


@dataclass(frozen=True)
class DeadLetter:
    """A message that was given up on. `reason` is the class name of what the handler raised the second time."""

    message: Message
    queue: str
    reason: str


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a handler."""

    message: Message
    queue: "Queue"
    redelivered: bool = False


@dataclass
class Queue:
    """Messages that wait, and who takes them, whoever waited longest first."""

    name: str
    waiting: deque[Delivery] = field(default_factory=deque)
    consumers: "deque[Consumer]" = field(default_factory=deque)

    def put(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)
        self.pump()

    def give_back(self, delivery: Delivery) -> None:
        self.waiting.appendleft(replace(delivery, redelivered=True))
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

    def __init__(
        self,
        queues: Sequence[Queue],
        handler: Handler,
        *,
        limit: int,
        bury: Callable[[DeadLetter], None],
        forget: Callable[["Consumer"], None],
    ) -> None:
        self._queues = tuple(queues)
        self._handler = handler
        self._bury = bury
        self._forget = forget
        self.slots: HandlerSlots[Delivery] = HandlerSlots(self._work, limit=limit, on_free=self._pump)
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

    def _pump(self) -> None:
        for queue in self._queues:
            queue.pump()

    async def _work(self, delivery: Delivery) -> None:
        try:
            error = await failure_of(self._handler, delivery.message)
        except asyncio.CancelledError:
            delivery.queue.give_back(delivery)
            raise
        if error is not None:
            self._reject(delivery, reason=type(error).__name__)

    def _reject(self, delivery: Delivery, *, reason: str) -> None:
        if not delivery.redelivered:
            delivery.queue.give_back(delivery)
        else:
            self._bury(DeadLetter(delivery.message, delivery.queue.name, reason))
