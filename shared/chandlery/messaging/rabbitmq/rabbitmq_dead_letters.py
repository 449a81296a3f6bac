"""The dead letters on RabbitMQ, for the command line: one connection for as long as an operator looks at them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from chandlery.contracts.dead_letters import DeadLetter
from chandlery.contracts.topology import COMMANDS_EXCHANGE
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import (
    close_channel,
    close_connection,
    open_channel,
    parse_servers,
)
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import NO_FILES, TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_declarer import RabbitDeclarer
from chandlery.messaging.rabbitmq.rabbitmq_errors import describe, foreign_errors_translated
from chandlery.messaging.rabbitmq.rabbitmq_messages import read_dead_letter, replayed
from chandlery.messaging.rabbitmq.rabbitmq_topology import QueueType, RabbitTopology, topology_for
from chandlery.model.faults import Refused, Unavailable

_Act = Callable[[DeadLetter], Awaitable[bool]]
"""Deals with a letter; whether it may leave its queue."""


class RabbitDeadLetters:
    """The `DeadLetters` of one installation."""

    def __init__(self, connection: AbstractConnection, topology: RabbitTopology, declarer: RabbitDeclarer) -> None:
        self._connection = connection
        self._topology = topology
        self._declarer = declarer

    async def all(self) -> Sequence[DeadLetter]:
        with foreign_errors_translated():
            async with aclosing(self._held()) as held:
                return [letter async for letter, _ in held]

    async def replay(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        return await self._settle(ids, self._publish)

    async def drop(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        return await self._settle(ids, _let_go)

    async def _settle(self, ids: Collection[str], act: _Act) -> Sequence[DeadLetter]:
        settled = []
        with foreign_errors_translated():
            async with aclosing(self._held()) as held:
                async for letter, received in held:
                    if letter.id in ids and await act(letter):
                        await received.ack()
                        settled.append(letter)
        return settled

    async def _held(self) -> AsyncGenerator[tuple[DeadLetter, AbstractIncomingMessage], None]:
        """Every letter, queue by queue. All of a queue are held at once, as each has to be to see the next one."""
        for origin, spec in self._topology.dead_letter_queues.items():
            channel = await open_channel(self._connection)
            try:
                queue = await channel.get_queue(spec.name, ensure=False)
                taken = []
                while (received := await queue.get(fail=False)) is not None:
                    taken.append(received)
                for received in taken:
                    yield read_dead_letter(received, origin=origin, prefix=self._topology.prefix), received
            finally:
                # What was not acknowledged goes back to its place.
                await close_channel(channel)

    async def _publish(self, letter: DeadLetter) -> bool:
        way = letter.way_back
        if way is None:
            return False
        is_command = way.exchange == COMMANDS_EXCHANGE
        if is_command:
            await self._declarer.queue(self._connection, self._topology.work_queue(way.routing_key))
        channel = await open_channel(self._connection)
        try:
            exchange = await channel.get_exchange(self._topology.exchange(way.exchange), ensure=False)
            await exchange.publish(replayed(letter), way.routing_key, mandatory=is_command)
        finally:
            await close_channel(channel)
        return True


async def _let_go(_: DeadLetter) -> bool:
    return True


@asynccontextmanager
async def open_dead_letters(
    url: str, *, prefix: str = "", queue_type: QueueType | None = None, tls: TlsFiles = NO_FILES
) -> AsyncIterator[RabbitDeadLetters]:
    """Connect to the first server that answers. Raises ConfigurationFault for a bad URL, Unavailable at once."""
    servers = parse_servers(url, tls=tls)
    topology = topology_for(servers, prefix=prefix, queue_type=queue_type)
    why: Exception | None = None
    for each in servers.urls:
        declarer = RabbitDeclarer(topology)
        try:
            connection, _ = await servers.connect(each, name="chandlery deadletters", prepare=declarer.standing)
        except Exception as error:  # noqa: BLE001 - the next server may do; the last error is told below
            why = error
            continue
        try:
            yield RabbitDeadLetters(connection, topology, declarer)
        finally:
            await close_connection(connection)
        return
    if isinstance(why, Refused):
        raise why
    raise Unavailable(f"RabbitMQ at {servers.addresses} cannot be reached: {describe(why)}.") from why
