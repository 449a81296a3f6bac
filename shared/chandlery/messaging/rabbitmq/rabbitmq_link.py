"""A connection to RabbitMQ: opened at the start, and again whenever it is lost. Those who need it wait for it.

Not `aio_pika.connect_robust`: that one cancels handlers under way when the connection breaks, and retries at a fixed
pace. So this is the plain connection, and opening it again is done here.
"""

import asyncio
import random
from collections.abc import Callable

import structlog
from aio_pika.abc import AbstractConnection
from tenacity import RetryCallState

from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import (
    Prepare,
    RabbitServers,
    address_of,
    close_connection,
)
from chandlery.messaging.rabbitmq.rabbitmq_errors import describe, foreign_errors_translated, is_blocked
from chandlery.model.faults import Refused, Unavailable
from chandlery.retry.transient import SERVER_START

log = structlog.get_logger(__name__)

_CLOSED = "The message bus is closed."


class RabbitLink:
    """Holds at most one open connection, to whichever of the servers answers."""

    def __init__(
        self, servers: RabbitServers, *, name: str, prepare: Prepare, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        """`prepare` runs on each new connection before others see it; `name` is what an operator sees.

        `on_lost` is called each time the connection breaks.
        """
        self._servers = servers
        self._name = name
        self._prepare = prepare
        self._on_lost = on_lost
        self._connection: AbstractConnection | None = None
        self._is_up = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._is_closed = False
        self._was_up = False
        self._refusal: Refused | None = None
        self._address = servers.addresses
        # Where the next connection is tried first: processes spread over the nodes of a cluster.
        self._turn = random.randrange(len(servers.urls))  # noqa: S311

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None and self._is_up.is_set()

    @property
    def is_blocked(self) -> bool:
        """Whether the server takes no messages on this connection for now."""
        return self.is_up and self._connection is not None and is_blocked(self._connection)

    async def open(self) -> None:
        """Begin to connect, and return when connected."""
        if self._supervisor is None and not self._is_closed:
            self._supervisor = asyncio.create_task(self._supervise(), name="amqp-link")
        await self.connection()

    async def connection(self) -> AbstractConnection:
        """The connection, as soon as there is one. Raises Unavailable before open and after close.

        Raises Refused where waiting for the first one does not help.
        """
        self.require_open()
        await self._is_up.wait()
        if self._refusal is not None:
            raise self._refusal
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
            await close_connection(connection)

    async def _supervise(self) -> None:
        while not self._is_closed:
            try:
                self._connection, lost = await self._connect()
            except Refused as fault:
                # Who waits for the first connection is told, and the process ends with one sentence.
                self._refusal = fault
                self._is_up.set()
                return
            self._was_up = True
            if self._is_closed:
                return
            self._is_up.set()
            log.info(
                f"Connected to RabbitMQ at {self._address}",
                action="connect_amqp",
                server=self._address,
                connection=self._name,
            )
            await lost.wait()
            self._is_up.clear()
            self._on_lost()
            log.warning(
                f"The connection to RabbitMQ at {self._address} was lost; reconnecting",
                action="reconnect_amqp",
                server=self._address,
                connection=self._name,
            )
            await close_connection(self._connection)

    async def _connect(self) -> tuple[AbstractConnection, asyncio.Event]:
        async for attempt in SERVER_START.around(
            # Later files may be renewed, and a server mended: whoever was let in once goes on trying.
            Unavailable,
            unless=() if self._was_up else (Refused,),
            before_sleep=self._say_unreachable,
        ):
            with attempt, foreign_errors_translated():
                return await self._connect_once()
        raise AssertionError("tries for ever")

    async def _connect_once(self) -> tuple[AbstractConnection, asyncio.Event]:
        """To the first server that answers, beginning with another one than before."""
        fault: Exception | None = None
        urls = self._servers.urls
        for turn in range(self._turn, self._turn + len(urls)):
            url = urls[turn % len(urls)]
            try:
                connected = await self._servers.connect(url, name=self._name, prepare=self._prepare)
            except Exception as error:
                if self._is_closed:
                    # The client makes an error like others of a cancellation that comes while it connects.
                    raise asyncio.CancelledError from error
                # Another node may be only away.
                fault = fault if isinstance(error, Refused) and fault is not None else error
                continue
            self._turn, self._address = turn + 1, address_of(url)
            return connected
        raise fault or Unavailable(_CLOSED)

    def _say_unreachable(self, state: RetryCallState) -> None:
        why = describe(state.outcome.exception() if state.outcome else None)
        pause = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            f"RabbitMQ at {self._servers.addresses} is not reachable ({why}); trying again in {pause:.1f} s",
            action="connect_amqp",
            server=self._servers.addresses,
            attempt=state.attempt_number,
        )
