"""Looks at RabbitMQ over AMQP alone, and declares nothing that is not there: for `chandlery doctor`.

Queues and exchanges are asked for passively. Whether a queue is of the wanted type no passive question tells, so one
that is known to be there is declared as it should be: that changes nothing, and is refused if it is another.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from yarl import URL

from chandlery.messaging.rabbitmq.connecting.rabbitmq_alarm import takes_messages
from chandlery.messaging.rabbitmq.connecting.rabbitmq_facts import NAME, RabbitFacts, look_at
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import close_connection, open_channel, parse_servers
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import NO_FILES, TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueSpec, QueueType, RabbitTopology, topology_for
from chandlery.model.faults import Unavailable


@dataclass(frozen=True)
class QueueFacts:
    """A queue that is there."""

    messages: int
    """Those that wait, without those that a consumer has in hand."""
    consumers: int


class RabbitInspection:
    """One connection for all questions, to the first server that lets us in."""

    def __init__(
        self, url: str, *, prefix: str = "", queue_type: QueueType | None = None, tls: TlsFiles = NO_FILES
    ) -> None:
        """Raises ConfigurationFault. Nothing is connected yet."""
        self._servers = parse_servers(url, tls=tls)
        self.topology: RabbitTopology = topology_for(self._servers, prefix=prefix, queue_type=queue_type)
        self._kept: tuple[URL, AbstractConnection] | None = None
        self._channel: AbstractChannel | None = None
        self._turn = asyncio.Lock()

    async def servers(self) -> Sequence[RabbitFacts]:
        """Each server of the URL, all asked at once."""
        return await asyncio.gather(*(look_at(self._servers, url, keep=self._keep) for url in self._servers.urls))

    async def queues(self, names: Collection[str]) -> Mapping[str, QueueFacts | None]:
        """By the server's names; None for one that is not there. Raises Unavailable."""
        return {name: await self._queue(name) for name in names}

    async def missing_exchanges(self) -> Sequence[str]:
        """Those of the standing ones that are not there. Raises Unavailable."""
        missing = []
        for name in self.topology.exchanges:
            async with self._turn:
                with foreign_errors_translated():
                    channel = await self._opened()
                    try:
                        await channel.declare_exchange(name, passive=True)
                    except ChannelNotFoundEntity:
                        missing.append(name)
        return missing

    async def differing(self, specs: Collection[QueueSpec]) -> Sequence[str]:
        """Which of these queues, all of them known to be there, have other properties. Raises Unavailable."""
        found = []
        for spec in specs:
            async with self._turn:
                with foreign_errors_translated():
                    channel = await self._opened()
                    try:
                        await channel.declare_queue(spec.name, durable=True, arguments=dict(spec.arguments))
                    except ChannelPreconditionFailed:
                        found.append(spec.name)
        return found

    async def takes_messages(self) -> bool:
        """Whether the server has no alarm; see `rabbitmq_alarm`. Raises Unavailable."""
        # Our user may write to that, and need not have the right for the server's own.
        ours = "" if self.topology.commands in await self.missing_exchanges() else self.topology.commands
        return await takes_messages(self._known()[0], name=NAME, exchange=ours)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._kept is not None:
            await close_connection(self._kept[1])

    async def _queue(self, name: str) -> QueueFacts | None:
        async with self._turn:
            with foreign_errors_translated():
                channel = await self._opened()
                try:
                    found = (await channel.declare_queue(name, passive=True)).declaration_result
                except ChannelNotFoundEntity:
                    return None
        return QueueFacts(messages=found.message_count or 0, consumers=found.consumer_count or 0)

    async def _opened(self) -> AbstractChannel:
        # What the server refuses closes the channel.
        if self._channel is None or self._channel.is_closed:
            self._channel = await open_channel(self._known()[1])
        return self._channel

    def _known(self) -> tuple[URL, AbstractConnection]:
        if self._kept is None:
            raise Unavailable(f"RabbitMQ at {self._servers.addresses} cannot be reached.")
        return self._kept

    def _keep(self, url: URL, connection: AbstractConnection) -> bool:
        if self._kept is not None:
            return False
        self._kept = (url, connection)
        return True
