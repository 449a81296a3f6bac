"""Publishing with confirms. The relay of the outbox calls this with whatever was committed."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import PublishError

from chandlery.contracts.messages import Message, encode
from chandlery.contracts.topology import COMMANDS_EXCHANGE, EVENTS_EXCHANGE, Route, route
from chandlery.messaging.rabbitmq_border import foreign_errors_translated
from chandlery.messaging.rabbitmq_link import RabbitLink, open_channel
from chandlery.messaging.rabbitmq_topology import RabbitTopology


@dataclass(frozen=True)
class _Outlet:
    """A channel, and what was made ready on it."""

    connection: AbstractConnection
    channel: AbstractChannel
    exchanges: Mapping[str, AbstractExchange]
    """By the contract's names."""
    work_queues: dict[str, asyncio.Task[AbstractQueue]] = field(default_factory=dict)
    """Declarations, by the contract's names."""

    def is_usable(self, connection: AbstractConnection) -> bool:
        return self.connection is connection and not self.channel.is_closed


class RabbitPublisher:
    """One channel for everything this process publishes."""

    def __init__(self, link: RabbitLink, topology: RabbitTopology, *, patience_seconds: float) -> None:
        self._link = link
        self._topology = topology
        self._patience_seconds = patience_seconds
        self._outlet: _Outlet | None = None
        self._opening = asyncio.Lock()
        self._ping: asyncio.Task[AbstractExchange] | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are confirmed; Unavailable when they are not within the patience."""
        # Encoded outside the border, so that a fault of ours is not taken for the server's.
        letters = [(route(message), letter(encode(message), message.type)) for message in messages]
        with foreign_errors_translated():
            async with asyncio.timeout(self._patience_seconds):
                outlet = await self._ready_outlet()
                await self._declare({way.routing_key for way, _ in letters if _is_command(way)}, outlet)
                # All are awaited even if one fails, so that none is left behind in the background.
                sending = [self._send(outlet, way, content) for way, content in letters]
                outcomes = await asyncio.gather(*sending, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def ping(self) -> None:
        """Raise Unavailable unless the server answers on this channel.

        A lasting channel, as the client keeps some memory for each one that was ever opened on a connection.
        """
        with foreign_errors_translated():
            outlet = await self._ready_outlet()
            if self._ping is None or self._ping.done():
                self._ping = asyncio.create_task(outlet.channel.get_exchange(self._topology.commands))
            # Shielded, because an impatient caller's cancellation would close the channel for everybody.
            await asyncio.shield(self._ping)

    async def _send(self, outlet: _Outlet, way: Route, content: aio_pika.Message) -> None:
        with foreign_errors_translated():
            exchange = outlet.exchanges[way.exchange]
            try:
                await exchange.publish(content, way.routing_key, mandatory=_is_command(way))
            except PublishError:
                # Returned: the queue expired since it was declared here.
                outlet.work_queues.pop(way.routing_key, None)
                await self._declare({way.routing_key}, outlet)
                await exchange.publish(content, way.routing_key, mandatory=True)

    async def _ready_outlet(self) -> _Outlet:
        connection = await self._link.connection()
        async with self._opening:
            if self._outlet is None or not self._outlet.is_usable(connection):
                self._outlet = await self._open(connection)
            return self._outlet

    async def _open(self, connection: AbstractConnection) -> _Outlet:
        channel = await open_channel(connection)
        # Not asked for: the link declared them.
        exchanges = {
            name: await channel.get_exchange(self._topology.exchange(name), ensure=False)
            for name in (COMMANDS_EXCHANGE, EVENTS_EXCHANGE)
        }
        return _Outlet(connection, channel, exchanges)

    async def _declare(self, work_queues: set[str], outlet: _Outlet) -> None:
        for name in work_queues:
            declaration = outlet.work_queues.get(name)
            if declaration is None or (declaration.done() and _failed(declaration)):
                declaration = asyncio.create_task(self._topology.declare_work_queue(outlet.channel, name))
                outlet.work_queues[name] = declaration
            # Shielded, because the client closes the channel for everybody when a declaration is cancelled.
            await asyncio.shield(declaration)


def letter(body: bytes, kind: str, *, headers: Mapping[str, str] | None = None) -> aio_pika.Message:
    """Persistent JSON. `kind` is the message's own type, so that a queue can be read by people."""
    return aio_pika.Message(
        body,
        headers=dict(headers) if headers else None,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=uuid.uuid4().hex,
        timestamp=datetime.now(UTC),
        type=kind,
    )


def _is_command(way: Route) -> bool:
    return way.exchange == COMMANDS_EXCHANGE


def _failed(declaration: asyncio.Task[AbstractQueue]) -> bool:
    return declaration.cancelled() or declaration.exception() is not None
