"""The in-process bus: the same promises as that of RabbitMQ, but nothing outlives the process."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache

from chandlery.contracts.messages import Message
from chandlery.contracts.topology import EVENTS_EXCHANGE, event_queue, route, work_queue
from chandlery.messaging.bus import Handler, Subscription
from chandlery.messaging.inprocess.inprocess_queue import Consumer, InProcessDeadLetters, Queue, QueuedMessage
from chandlery.messaging.message_counting import MessageCounting
from chandlery.messaging.message_traces import MessageTraces
from chandlery.model.faults import Unavailable
from chandlery.telemetry.catalog.message_flow import BUS_CONNECTED
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing


class InProcessBus:
    """A `Bus` within one event loop."""

    def __init__(self, *, metrics: Metrics = NO_METRICS, tracing: Tracing = IDS_ONLY) -> None:
        self._counting = MessageCounting(metrics)
        self._traces = MessageTraces(tracing, system="in_process")
        metrics.collect(BUS_CONNECTED, lambda: [Sample((), float(self._is_open))])
        self.dead_letters = InProcessDeadLetters(self._put)
        self._work_queues: dict[str, Queue] = {}
        self._event_queues: list[tuple[str, Queue]] = []
        self._consumers: set[Consumer] = set()
        self._is_open = False
        self._is_closed = False

    async def start(self) -> None:
        self._is_open = not self._is_closed

    async def publish(self, messages: Sequence[Message]) -> None:
        with self._counting.publishing(messages), self._traces.sending(messages) as traced:
            await self.ping()
            for message, trace in traced:
                self._put(message, uuid.uuid4().hex, trace)
        # Like a server, let others have their turn.
        await asyncio.sleep(0)

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        await self.ping()
        queues = [self._work_queue(name) for name in dict.fromkeys(work_queue(kind, lane) for kind in kinds)]
        return self._listen(queues, handler, limit=concurrency)

    async def remove_queues(self, kinds: Sequence[str], lane: str) -> bool:
        await self.ping()
        names = {work_queue(kind, lane) for kind in kinds}
        unheard = [queue for name in names if (queue := self._work_queues.get(name)) and not queue.consumers]
        for queue in unheard:
            if not queue.waiting:
                del self._work_queues[queue.name]
        return not any(queue.waiting for queue in unheard)

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        await self.ping()
        queue = Queue(event_queue("in-process", uuid.uuid4().hex[:8]))
        self._event_queues.append((pattern, queue))
        return self._listen([queue], handler, limit=1)

    async def ping(self) -> None:
        self._require_open()

    async def count_dead_letters(self) -> Mapping[str, int]:
        await self.ping()
        return self.dead_letters.count()

    def _require_open(self) -> None:
        if not self._is_open:
            raise Unavailable("The message bus is closed.")

    async def close(self) -> None:
        self._is_open, self._is_closed = False, True
        consumers = list(self._consumers)
        try:
            for consumer in consumers:
                consumer.slots.stop()
            for consumer in consumers:
                await consumer.close()
        finally:
            for consumer in consumers:
                await consumer.slots.abandon()

    def _put(self, message: Message, message_id: str, trace: str) -> None:
        self._require_open()
        way = route(message)
        if way.exchange != EVENTS_EXCHANGE:
            queue = self._work_queue(way.routing_key)
            queue.put(QueuedMessage(message_id, message, queue, trace))
            return
        self._event_queues = [(pattern, queue) for pattern, queue in self._event_queues if queue.consumers]
        for pattern, queue in self._event_queues:
            if _matches(pattern, way.routing_key):
                queue.put(QueuedMessage(message_id, message, queue))

    def _work_queue(self, name: str) -> Queue:
        return self._work_queues.setdefault(name, Queue(name))

    def _listen(self, queues: Sequence[Queue], handler: Handler, *, limit: int) -> Subscription:
        consumer = Consumer(
            queues,
            handler,
            limit=limit,
            bury=self.dead_letters.add,
            forget=self._consumers.discard,
            counting=self._counting,
            traces=self._traces,
        )
        self._consumers.add(consumer)
        return consumer


@lru_cache(maxsize=4096)
def _matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic exchange routes this key to a queue bound with this pattern (AMQP 0-9-1, 3.1.3.3).

    `*` stands for one word, `#` for any number of words, none included.
    """
    return _match(tuple(pattern.split(".")), tuple(routing_key.split(".")))


def _match(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_match(rest, words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _match(rest, words[1:])
