"""Declares and removes queues, on a channel of its own: what the server refuses closes that channel and no other."""

import asyncio

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import open_channel
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueSpec, RabbitTopology

log = structlog.get_logger(__name__)


class RabbitDeclarer:
    """For one connection at a time. Raises the client's errors. Declaring twice is harmless."""

    def __init__(self, topology: RabbitTopology, *, differing: set[str] | None = None) -> None:
        """`differing` collects the queues found with other properties; declarers of one process may share it."""
        self._topology = topology
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._differing = set() if differing is None else differing
        self._turn = asyncio.Lock()

    async def standing(self, connection: AbstractConnection) -> None:
        """What is always there: three exchanges and the queues of the dead letters."""
        async with self._turn:
            channel = await self._channel_on(connection)
            for name, kind in self._topology.exchanges.items():
                await channel.declare_exchange(name, kind, durable=True)
        for spec in self._topology.dead_letter_queues.values():
            await self.queue(connection, spec)

    async def queue(self, connection: AbstractConnection, spec: QueueSpec) -> None:
        """The queue with its route. One that is there already with other properties is used as it is."""
        async with self._turn:
            channel = await self._channel_on(connection)
            try:
                queue = await channel.declare_queue(spec.name, durable=True, arguments=dict(spec.arguments))
            except ChannelPreconditionFailed:
                self._say_differs(spec)
                channel = await self._channel_on(connection)
                queue = await channel.declare_queue(spec.name, passive=True)
            await queue.bind(spec.exchange, spec.routing_key)

    async def remove(self, connection: AbstractConnection, spec: QueueSpec) -> bool:
        """Remove the queue unless it is in use. False if commands wait in it and nobody listens."""
        async with self._turn:
            channel = await self._channel_on(connection)
            try:
                found = (await channel.declare_queue(spec.name, passive=True)).declaration_result
                if found.consumer_count or found.message_count:
                    return bool(found.consumer_count)
                # Only classic queues can be told to see for themselves; what slips into another one is swept up.
                is_careful = spec.is_classic and spec.name not in self._differing
                await channel.queue_delete(spec.name, if_unused=is_careful, if_empty=is_careful)
            except ChannelNotFoundEntity:
                return True
            except ChannelPreconditionFailed:
                # Somebody came in between; whoever listens now removes it later.
                return False
            self._differing.discard(spec.name)
            return True

    async def count_messages(self, connection: AbstractConnection, spec: QueueSpec) -> int:
        """How many messages wait in the queue; none in one that is not there."""
        async with self._turn:
            channel = await self._channel_on(connection)
            try:
                found = (await channel.declare_queue(spec.name, passive=True)).declaration_result
            except ChannelNotFoundEntity:
                return 0
            return found.message_count or 0

    async def _channel_on(self, connection: AbstractConnection) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed or self._connection is not connection:
            self._connection, self._channel = connection, await open_channel(connection)
        return self._channel

    def _say_differs(self, spec: QueueSpec) -> None:
        if spec.name in self._differing:
            return
        self._differing.add(spec.name)
        log.warning(
            f"The queue {spec.name} has other properties than this process expects; it is used unchanged",
            action="declare_queue",
            queue=spec.name,
        )
