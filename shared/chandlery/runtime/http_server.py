"""uvicorn inside our own loop: listening, TLS, plain HTTP beside TLS on one port, a clean end."""

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any

import structlog
import uvicorn

from chandlery.model.faults import ConfigurationFault
from chandlery.runtime.bounded_connections import BoundedConnection, ConnectionLimits

_TLS_HANDSHAKE = b"\x16"
_GREETING_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
# Longer than clients keep an idle connection (client-go 90 s, aiohttp 15 s): the client closes first. A server that
# does so resets the request that a client is sending at that very moment.
_KEEP_ALIVE_SECONDS = 120

log = structlog.get_logger()


class EmbeddedServer(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class TwoProtocolServer(EmbeddedServer):
    """Answers TLS and plain HTTP on one port, by the first byte that a client sends.

    For the all-in-one on loopback: kubectl sends its token only over TLS, and `curl` should work without a certificate.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Accept connections ourselves instead of letting the loop do it."""
        await super().startup(sockets=[])
        self._keep(asyncio.create_task(self._accept()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Accept no more, then let running requests end."""
        for task in self._tasks:
            task.cancel()
        self._listener.close()
        await super().shutdown(sockets=[])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                # Out of descriptors, mostly: better later than never again.
                log.warning(f"a connection could not be accepted: {error.strerror}", action="accept")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._keep(asyncio.create_task(self._greet(connection)))

    async def _greet(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                await _readable(connection)
            context = self.config.ssl if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE else None
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=_GREETING_SECONDS if context else None,
            )
        except (OSError, TimeoutError, ssl.SSLError):
            connection.close()

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ConfigurationFault that names the way out if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by connections. asyncio would not: it knows TCP by the protocol number, which is 0 here.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationFault(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another port"
        ) from error
    listener.setblocking(False)
    return listener


async def serve_http(
    app: Any,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - it cannot be changed
    grace_seconds: float = 5.0,
    plain_too: bool = False,
    **options: Any,
) -> None:
    """Serve until `stop`, then let running requests end, for so long. `plain_too` answers plain HTTP beside TLS."""
    config = uvicorn.Config(
        app,
        http=partial(BoundedConnection, limits=limits),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(grace_seconds),
        **options,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationFault(f"the TLS certificate or key cannot be used: {error}") from error
    server = TwoProtocolServer(config, listener) if plain_too else EmbeddedServer(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    stopping = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {serving, stopping}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
