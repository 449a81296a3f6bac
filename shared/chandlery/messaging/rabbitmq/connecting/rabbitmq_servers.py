"""Where RabbitMQ is: one server or the nodes of a cluster, the virtual host, TLS. Opens connections, once each."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aio_pika import Connection
from aio_pika.abc import AbstractChannel, AbstractConnection
from yarl import URL

from chandlery.messaging.rabbitmq.connecting.rabbitmq_line import Line
from chandlery.messaging.rabbitmq.connecting.rabbitmq_tls import tls_fault
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import NO_FILES, TlsFiles, parse_urls
from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated

OPEN_SECONDS = 15.0
"""For one attempt: connect, log in, declare the topology."""
CLOSE_SECONDS = 5.0
_LINE = "transport_factory"
"""As the client calls it."""

Prepare = Callable[[AbstractConnection], Awaitable[None]]
"""Runs on each new connection before anybody else sees it."""


@dataclass(frozen=True)
class RabbitServers:
    """The URLs of one server or of a cluster's nodes, in the order in which they are tried."""

    urls: tuple[URL, ...] = field(repr=False)

    @property
    def is_cluster(self) -> bool:
        """Whether there is more than one server to go to."""
        return len(self.urls) > 1

    @property
    def addresses(self) -> str:
        """For people: without user and password."""
        return ", ".join(address_of(url) for url in self.urls)

    async def connect(self, url: URL, *, name: str, prepare: Prepare) -> tuple[AbstractConnection, asyncio.Event]:
        """A prepared connection; the event is set when it is lost. Raises the client's errors, Refused, Unavailable.

        `name` is what an operator sees on the server.
        """
        # Not by `aio_pika.connect`, which leaves a connection that failed to the garbage collector.
        connection = Connection(url.extend_query({"name": name}))
        connection.kwargs[_LINE] = Line()
        lost = asyncio.Event()
        connection.close_callbacks.add(lambda *_: lost.set())
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await connection.connect()
                await prepare(connection)
        except BaseException as error:
            await close_connection(connection)
            if fault := tls_fault(url, error):
                raise fault from error
            raise
        return connection, lost


def parse_servers(text: str, *, tls: TlsFiles = NO_FILES) -> RabbitServers:
    """`amqp[s]://user:password@host[:port]/vhost[?options]`, several of them separated by commas.

    Raises ConfigurationFault.
    """
    return RabbitServers(parse_urls(text, tls=tls))


def address_of(url: URL) -> str:
    """Host and port."""
    return f"{url.host}:{url.port}"


async def open_channel(connection: AbstractConnection) -> AbstractChannel:
    """A new channel with publisher confirms, where publishing raises PublishError for a message that is returned."""
    return await connection.channel(publisher_confirms=True, on_return_raises=True)


async def close_channel(channel: AbstractChannel) -> None:
    """Close, whatever state it is in; what was not acknowledged goes back to its queue."""
    with suppress(Exception), foreign_errors_translated():
        async with asyncio.timeout(CLOSE_SECONDS):
            await channel.close()


async def close_connection(connection: AbstractConnection) -> None:
    """Close, whatever state it is in, within a few seconds."""
    try:
        with suppress(Exception), foreign_errors_translated():
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close()
    finally:
        if isinstance(line := connection.kwargs.get(_LINE), Line):
            line.cut()
