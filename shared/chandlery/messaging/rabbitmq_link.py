"""The connection to RabbitMQ: opened at the start, and again whenever it is lost. Publisher and consumers wait for it.

Not `aio_pika.connect_robust`: that one cancels handlers under way when the connection breaks, and retries at a fixed
pace. So this is the plain connection, and opening it again is done here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aio_pika import Connection
from aio_pika.abc import AbstractChannel, AbstractConnection
from tenacity import RetryCallState

from chandlery.messaging.rabbitmq_border import describe, foreign_errors_translated, parse_url
from chandlery.model.faults import Unavailable
from chandlery.retry.transient import SERVER_START

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 20
"""A silent peer is given up after three of these, so a dead node costs a minute at most."""
OPEN_SECONDS = 15.0
"""For one attempt: connect, log in, declare the topology."""
CLOSE_SECONDS = 5.0
_CLOSED = "The message bus is closed."


class RabbitLink:
    """Holds at most one open connection."""

    def __init__(
        self, url: str, *, connection_name: str, prepare: Callable[[AbstractConnection], Awaitable[None]]
    ) -> None:
        """`prepare` runs on each new connection before others see it. Raises ConfigurationFault for a bad URL."""
        self._url = parse_url(url, connection_name=connection_name, heartbeat_seconds=HEARTBEAT_SECONDS)
        self._address = f"{self._url.host}:{self._url.port}"
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._is_up = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None and self._is_up.is_set()

    async def open(self) -> None:
        """Begin to connect, and return when connected."""
        if self._supervisor is None and not self._is_closed:
            self._supervisor = asyncio.create_task(self._supervise(), name="amqp-link")
        await self.connection()

    async def connection(self) -> AbstractConnection:
        """The connection, as soon as there is one. Raises Unavailable before open and after close."""
        self.require_open()
        await self._is_up.wait()
        if self._connection is None:
            raise Unavailable(_CLOSED)
        return self._connection

    def require_open(self) -> None:
        """Raise Unavailable before open and after close."""
        if self._is_closed or self._supervisor is None:
            raise Unavailable(_CLOSED)

    async def close(self) -> None:
        """Give the connection up for good. Idempotent, and never longer than a few seconds."""
        self._is_closed = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        connection, self._connection = self._connection, None
        # Whoever still waits for a connection is let go, and told.
        self._is_up.set()
        if connection is not None:
            await _close(connection)

    async def _supervise(self) -> None:
        while True:
            self._connection, lost = await self._connect()
            self._is_up.set()
            log.info(f"Connected to RabbitMQ at {self._address}", action="connect_amqp", address=self._address)
            await lost.wait()
            self._is_up.clear()
            log.warning(
                f"The connection to RabbitMQ at {self._address} was lost; opening it again",
                action="reconnect_amqp",
                address=self._address,
            )
            await _close(self._connection)

    async def _connect(self) -> tuple[AbstractConnection, asyncio.Event]:
        async for attempt in SERVER_START.around(Unavailable, before_sleep=self._say_unreachable):
            with attempt, foreign_errors_translated():
                return await self._connect_once()
        raise AssertionError("tries for ever")

    async def _connect_once(self) -> tuple[AbstractConnection, asyncio.Event]:
        """A prepared connection; the event is set when it is lost."""
        # Not by `aio_pika.connect`, which leaves a connection that failed to the garbage collector.
        connection = Connection(self._url)
        lost = asyncio.Event()
        connection.close_callbacks.add(lambda *_: lost.set())
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await connection.connect()
                await self._prepare(connection)
        except BaseException:
            await _close(connection)
            raise
        return connection, lost

    def _say_unreachable(self, state: RetryCallState) -> None:
        why = describe(state.outcome.exception() if state.outcome else None)
        pause = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            f"RabbitMQ at {self._address} is not reachable ({why}); trying again in {pause:.1f} s",
            action="connect_amqp",
            address=self._address,
            attempt=state.attempt_number,
        )


async def open_channel(connection: AbstractConnection) -> AbstractChannel:
    """A new channel with publisher confirms, where publishing raises PublishError for a message that is returned."""
    return await connection.channel(publisher_confirms=True, on_return_raises=True)


async def close_channel(channel: AbstractChannel) -> None:
    """Close, whatever state it is in; what was not acknowledged goes back to its queue."""
    with suppress(Exception), foreign_errors_translated():
        async with asyncio.timeout(CLOSE_SECONDS):
            await channel.close()


async def _close(connection: AbstractConnection) -> None:
    with suppress(Exception), foreign_errors_translated():
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
