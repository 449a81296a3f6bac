"""The bus on RabbitMQ: wires links, topology, publisher and subscriptions together behind the `Bus` protocol.

Comes in: what `bus.py` describes, and the URLs of one server or of the nodes of a cluster.
Goes out: AMQP, by the modules of this room: `rabbitmq_link.py` keeps a connection, `rabbitmq_declarer.py` declares
queues, `rabbitmq_publisher.py` publishes with confirms, `rabbitmq_consumer.py` consumes.
Called by: `process/composition.py` makes it; everybody else knows the protocol alone.

Nothing but this room imports the AMQP client, and none of its errors leaves it (`rabbitmq_errors.py`).
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from chandlery.contracts.messages import Message
from chandlery.contracts.topology import DEAD_LETTER_QUEUES, event_queue, work_queue
from chandlery.messaging.bus import Handler, Subscription
from chandlery.messaging.handler_slots import most_taken
from chandlery.messaging.message_counting import MessageCounting
from chandlery.messaging.message_traces import MessageTraces
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import parse_servers
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import NO_FILES, TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_consumer import DeclareQueues, RabbitSubscription, Source
from chandlery.messaging.rabbitmq.rabbitmq_declarer import RabbitDeclarer
from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated
from chandlery.messaging.rabbitmq.rabbitmq_link import RabbitLink
from chandlery.messaging.rabbitmq.rabbitmq_publisher import RabbitPublisher
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueType, topology_for
from chandlery.model.faults import Unavailable
from chandlery.telemetry.catalog.message_flow import BUS_CONNECTED, BUS_CONNECTIONS_LOST
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing

PATIENCE_SECONDS = 10.0
PING_SECONDS = 3.0
EVENTS_PREFETCH = 64
"""Events are handled one at a time; the next ones are at hand already."""


class RabbitBus:
    """A `Bus`, with two connections.

    A server that is low on memory reads nothing more from a connection that publishes, acknowledgements neither.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        url: str,
        *,
        connection_name: str,
        prefix: str = "",
        patience_seconds: float = PATIENCE_SECONDS,
        queue_type: QueueType | None = None,
        tls: TlsFiles = NO_FILES,
        metrics: Metrics = NO_METRICS,
        tracing: Tracing = IDS_ONLY,
    ) -> None:
        """Raises ConfigurationFault if `url` is no list of AMQP URLs. Nothing is connected before `start`.

        `connection_name` is what an operator sees on the server; `prefix` goes in front of every exchange and queue;
        `patience_seconds` bounds a publish; `queue_type` is that of the work queues, and follows from the number of
        servers unless given; `tls` are the files for an amqps:// server.
        """
        servers = parse_servers(url, tls=tls)
        self._name = connection_name
        self._counting = MessageCounting(metrics)
        self._traces = MessageTraces(tracing, system="rabbitmq")
        self._topology = topology_for(servers, prefix=prefix, queue_type=queue_type)
        differing: set[str] = set()
        declarer = RabbitDeclarer(self._topology, differing=differing)
        self._declarer = RabbitDeclarer(self._topology, differing=differing)
        lost = partial(metrics.count, BUS_CONNECTIONS_LOST)
        self._link = RabbitLink(servers, name=f"{connection_name} publishing", prepare=declarer.standing, on_lost=lost)
        self._listening = RabbitLink(
            servers, name=f"{connection_name} listening", prepare=self._declarer.standing, on_lost=lost
        )
        metrics.collect(BUS_CONNECTED, lambda: [Sample((), float(self._is_up))])
        self._publisher = RabbitPublisher(self._link, self._topology, declarer, patience_seconds=patience_seconds)
        self._subscriptions: set[RabbitSubscription] = set()

    async def start(self) -> None:
        await asyncio.gather(self._link.open(), self._listening.open())

    async def publish(self, messages: Sequence[Message]) -> None:
        if messages:
            with self._counting.publishing(messages), self._traces.sending(messages) as traced:
                await self._publisher.publish(traced)

    async def consume(self, kinds: Sequence[str], lane: str, handler: Handler, *, concurrency: int) -> Subscription:
        names = list(dict.fromkeys(work_queue(kind, lane) for kind in kinds))

        async def declare(connection: AbstractConnection, channel: AbstractChannel) -> Mapping[str, AbstractQueue]:
            queues = {}
            for name in names:
                spec = self._topology.work_queue(name)
                await self._declarer.queue(connection, spec)
                queues[name] = await channel.get_queue(spec.name, ensure=False)
            return queues

        source = self._source(declare, concurrency=concurrency, prefetch=most_taken(concurrency))
        return await self._listen(source, handler)

    async def remove_queues(self, kinds: Sequence[str], lane: str) -> bool:
        done = []
        with foreign_errors_translated():
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await self._listening.connection()
                for name in {work_queue(kind, lane) for kind in kinds}:
                    done.append(await self._declarer.remove(connection, self._topology.work_queue(name)))
                    self._publisher.forget(name)
        return all(done)

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        async def declare(_: AbstractConnection, channel: AbstractChannel) -> Mapping[str, AbstractQueue]:
            # A new name each time: the old queue may live for as long as the server believes in a lost connection.
            name = event_queue(self._name, uuid.uuid4().hex[:8])
            queue = await channel.declare_queue(self._topology.prefix + name, exclusive=True, auto_delete=True)
            await queue.bind(self._topology.events, pattern)
            # For what its handler fails on: other subscribers must not get that again.
            await queue.bind(self._topology.commands, name)
            return {name: queue}

        return await self._listen(self._source(declare, concurrency=1, prefetch=EVENTS_PREFETCH), handler)

    async def ping(self) -> None:
        if not self._is_up:
            raise Unavailable("RabbitMQ is not connected.")
        with foreign_errors_translated():
            async with asyncio.timeout(PING_SECONDS):
                await self._publisher.ping()

    async def count_dead_letters(self) -> Mapping[str, int]:
        specs = self._topology.dead_letter_queues
        with foreign_errors_translated():
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await self._listening.connection()
                return {
                    DEAD_LETTER_QUEUES[origin]: await self._declarer.count_messages(connection, spec)
                    for origin, spec in specs.items()
                }

    async def close(self) -> None:
        subscriptions = list(self._subscriptions)
        try:
            await asyncio.gather(*(subscription.close() for subscription in subscriptions))
        finally:
            for subscription in subscriptions:
                await subscription.abandon()
            await asyncio.gather(self._link.close(), self._listening.close())

    @property
    def _is_up(self) -> bool:
        return self._link.is_up and self._listening.is_up

    def _source(self, queues: DeclareQueues, *, concurrency: int, prefetch: int) -> Source:
        return Source(
            queues=queues,
            publisher=self._publisher,
            counting=self._counting,
            concurrency=concurrency,
            prefetch=prefetch,
            traces=self._traces,
        )

    async def _listen(self, source: Source, handler: Handler) -> Subscription:
        self._listening.require_open()
        subscription = RabbitSubscription(self._listening, source, handler, forget=self._subscriptions.discard)
        self._subscriptions.add(subscription)
        await subscription.begin()
        return subscription
