"""The bus on RabbitMQ: wires link, topology, publisher and subscriptions together behind the `Bus` protocol."""

import asyncio
from collections.abc import Sequence

from aio_pika.abc import AbstractChannel, AbstractQueue

from chandlery.contracts.messages import Message
from chandlery.contracts.topology import work_queue
from chandlery.messaging.bus import Handler, Subscription
from chandlery.messaging.rabbitmq_border import foreign_errors_translated
from chandlery.messaging.rabbitmq_consumer import RabbitSubscription, Source
from chandlery.messaging.rabbitmq_link import RabbitLink
from chandlery.messaging.rabbitmq_publisher import RabbitPublisher
from chandlery.messaging.rabbitmq_topology import RabbitTopology
from chandlery.model.faults import Unavailable

PATIENCE_SECONDS = 10.0
PING_SECONDS = 3.0
EVENTS_PREFETCH = 64
"""Events are handled one at a time; the next ones are at hand already."""


class RabbitBus:
    """A `Bus`. One connection for each process."""

    def __init__(
        self, url: str, *, connection_name: str, prefix: str = "", patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Raises ConfigurationFault if `url` is not an AMQP URL. Nothing is connected before `start`.

        `connection_name` is what an operator sees on the server; `prefix` goes in front of every exchange and queue;
        `patience_seconds` bounds a publish.
        """
        self._topology = RabbitTopology(prefix)
        self._link = RabbitLink(url, connection_name=connection_name, prepare=self._topology.declare_exchanges)
        self._publisher = RabbitPublisher(self._link, self._topology, patience_seconds=patience_seconds)
        self._subscriptions: set[RabbitSubscription] = set()

    async def start(self) -> None:
        await self._link.open()

    async def publish(self, messages: Sequence[Message]) -> None:
        if messages:
            await self._publisher.publish(messages)

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        names = list(dict.fromkeys(work_queue(kind, lane) for kind in kinds))

        async def declare(channel: AbstractChannel) -> Sequence[AbstractQueue]:
            return [await self._topology.declare_work_queue(channel, name) for name in names]

        source = Source(
            queues=declare,
            dead_letters=self._topology.dead_letters,
            concurrency=concurrency,
            prefetch=concurrency,
        )
        return await self._listen(source, handler)

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        async def declare(channel: AbstractChannel) -> Sequence[AbstractQueue]:
            return [await self._topology.declare_event_queue(channel, pattern)]

        source = Source(
            queues=declare,
            dead_letters=self._topology.dead_letters,
            concurrency=1,
            prefetch=EVENTS_PREFETCH,
        )
        return await self._listen(source, handler)

    async def ping(self) -> None:
        if not self._link.is_up:
            raise Unavailable("RabbitMQ is not connected.")
        with foreign_errors_translated():
            async with asyncio.timeout(PING_SECONDS):
                await self._publisher.ping()

    async def close(self) -> None:
        subscriptions = list(self._subscriptions)
        try:
            await asyncio.gather(*(subscription.close() for subscription in subscriptions))
        finally:
            for subscription in subscriptions:
                await subscription.abandon()
            await self._link.close()

    async def _listen(self, source: Source, handler: Handler) -> Subscription:
        self._link.require_open()
        subscription = RabbitSubscription(self._link, source, handler, forget=self._subscriptions.discard)
        self._subscriptions.add(subscription)
        await subscription.begin()
        return subscription
