"""Publishing with confirms: for the relay what was committed, for consumers what comes again or is given up on."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import PublishError

from chandlery.contracts.dead_letters import TRACE_HEADER
from chandlery.contracts.messages import Message, encode
from chandlery.contracts.topology import COMMANDS_EXCHANGE, DEAD_LETTER_EXCHANGE, EVENTS_EXCHANGE, Route, route
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import open_channel
from chandlery.messaging.rabbitmq.rabbitmq_declarer import RabbitDeclarer
from chandlery.messaging.rabbitmq.rabbitmq_errors import BLOCKED, foreign_errors_translated, until_unblocked
from chandlery.messaging.rabbitmq.rabbitmq_link import RabbitLink
from chandlery.messaging.rabbitmq.rabbitmq_messages import letter
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueSpec, RabbitTopology
from chandlery.model.faults import Unavailable

_MOST_KNOWN_QUEUES = 10_000
_EXCHANGES = (COMMANDS_EXCHANGE, EVENTS_EXCHANGE, DEAD_LETTER_EXCHANGE)


@dataclass(frozen=True)
class _Outlet:
    """A channel, and what was made ready on its connection."""

    connection: AbstractConnection
    channel: AbstractChannel
    exchanges: Mapping[str, AbstractExchange]
    """By the contract's names."""
    queues: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Declarations, by routing key."""

    def is_usable(self, connection: AbstractConnection) -> bool:
        return self.connection is connection and not self.channel.is_closed


class RabbitPublisher:
    """One channel for everything this process publishes."""

    def __init__(
        self, link: RabbitLink, topology: RabbitTopology, declarer: RabbitDeclarer, *, patience_seconds: float
    ) -> None:
        self._link = link
        self._topology = topology
        self._declarer = declarer
        self._patience_seconds = patience_seconds
        self._outlet: _Outlet | None = None
        self._opening = asyncio.Lock()
        self._ping: asyncio.Task[AbstractExchange] | None = None

    async def publish(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Return when all are confirmed, each with its trace; Unavailable when they are not within the patience."""
        # Encoded outside the border, so that a fault of ours is not taken for the server's.
        await self._put([(route(message), _letter(message, trace)) for message, trace in messages])

    async def put(self, way: Route, content: aio_pika.Message, *, mandatory: bool = True) -> None:
        """Return when this one is confirmed; Unavailable when it is not within the patience."""
        await self._put([(way, content)], mandatory=mandatory)

    async def ping(self) -> None:
        """Raise Unavailable unless the server answers on this channel and takes messages.

        A lasting channel, as the client keeps some memory for each one that was ever opened on a connection.
        """
        if self._link.is_blocked:
            raise Unavailable(BLOCKED)
        with foreign_errors_translated():
            outlet = await self._ready_outlet()
            if self._ping is None or self._ping.done():
                self._ping = asyncio.create_task(outlet.channel.get_exchange(self._topology.commands))
            # Shielded, because an impatient caller's cancellation would close the channel for everybody.
            await asyncio.shield(self._ping)

    def forget(self, routing_key: str) -> None:
        """The queue was removed: it is declared again before the next message for it."""
        if self._outlet is not None:
            self._outlet.queues.pop(routing_key, None)

    async def _put(self, letters: Sequence[tuple[Route, aio_pika.Message]], *, mandatory: bool = True) -> None:
        try:
            with foreign_errors_translated():
                async with asyncio.timeout(self._patience_seconds):
                    outlet = await self._ready_outlet()
                    needed = {way for way, _ in letters if mandatory and way.exchange != EVENTS_EXCHANGE}
                    refused = await self._refused(needed, outlet)
                    # All are awaited even if one fails, so that none is left behind in the background.
                    sending = [
                        self._send(outlet, way, content, mandatory=way in needed)
                        for way, content in letters
                        if way not in refused
                    ]
                    outcomes = [*refused.values(), *await asyncio.gather(*sending, return_exceptions=True)]
        except Unavailable as fault:
            if self._link.is_blocked:
                raise Unavailable(BLOCKED) from fault
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _refused(self, ways: Collection[Route], outlet: _Outlet) -> Mapping[Route, Unavailable]:
        """Declare where these lead. Those that the server refuses, and why: they keep nothing else from being sent."""
        refused = {}
        for way in ways:
            try:
                with foreign_errors_translated():
                    await self._declare(way, outlet)
            except Unavailable as fault:
                if outlet.channel.is_closed:
                    raise
                refused[way] = fault
        return refused

    async def _send(self, outlet: _Outlet, way: Route, content: aio_pika.Message, *, mandatory: bool) -> None:
        with foreign_errors_translated():
            exchange = outlet.exchanges[way.exchange]
            try:
                await exchange.publish(content, way.routing_key, mandatory=mandatory)
            except PublishError:
                # Returned: the queue expired or was deleted since it was declared here.
                outlet.queues.pop(way.routing_key, None)
                await self._declare(way, outlet)
                await exchange.publish(content, way.routing_key, mandatory=True)

    async def _ready_outlet(self) -> _Outlet:
        connection = await self._link.connection()
        await until_unblocked(connection)
        async with self._opening:
            if self._outlet is None or not self._outlet.is_usable(connection):
                self._outlet = await self._open(connection)
            return self._outlet

    async def _open(self, connection: AbstractConnection) -> _Outlet:
        channel = await open_channel(connection)
        # Not asked for: the link declared them.
        exchanges = {
            name: await channel.get_exchange(self._topology.exchange(name), ensure=False) for name in _EXCHANGES
        }
        return _Outlet(connection, channel, exchanges)

    async def _declare(self, way: Route, outlet: _Outlet) -> None:
        declaration = outlet.queues.get(way.routing_key)
        if declaration is None or (declaration.done() and _failed(declaration)):
            if len(outlet.queues) >= _MOST_KNOWN_QUEUES:
                # Those of service brokers that are gone are among them; declaring the others again does no harm.
                outlet.queues.clear()
            declaration = asyncio.create_task(self._declarer.queue(outlet.connection, self._queue_of(way)))
            outlet.queues[way.routing_key] = declaration
        # Shielded, because others wait for the same declaration.
        await asyncio.shield(declaration)

    def _queue_of(self, way: Route) -> QueueSpec:
        if way.exchange == DEAD_LETTER_EXCHANGE:
            return self._topology.dead_letter_queues[way.routing_key]
        return self._topology.work_queue(way.routing_key)


def _letter(message: Message, trace: str) -> aio_pika.Message:
    return letter(encode(message), message.type, headers={TRACE_HEADER: trace} if trace else None)


def _failed(declaration: asyncio.Task[None]) -> bool:
    return declaration.cancelled() or declaration.exception() is not None
