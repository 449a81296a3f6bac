"""uvicorn with an accept loop of our own: every socket is counted before a byte of it is read.

`http_server` runs it. Who has to go for a newcomer is decided by `connection_shares`; a socket that has said enough to
be spoken to becomes a `BoundedConnection`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
import uvicorn

from chandlery.process.http.bounded_connections import TOO_MANY, BoundedConnection, ConnectionLimits, last_answer
from chandlery.process.http.connection_shares import ConnectionShares, Held, share_of
from chandlery.process.http.listener_tls import Judge, ListenerTls
from chandlery.process.http.presented_certificates import PresentedCertificate
from chandlery.process.logs.tally import Tally

_TLS_HANDSHAKE: Final = b"\x16"
_GREETING_SECONDS: Final = 10.0
"""How long a client may take for its first byte where both protocols are spoken, and for its TLS handshake."""
_PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How one listener speaks to its clients."""

    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    tls: ListenerTls | None = None
    plain_too: bool = False
    """With TLS, answer plain HTTP too, told apart by the first byte that a client sends."""
    on_untrusted: Callable[[], None] = lambda: None
    """Called for each client certificate that ends a handshake."""
    is_front_proxy: Judge = lambda _: False
    """Whether a certificate is that of a front proxy, which brings many users."""


class AcceptingServer(uvicorn.Server):
    """One listener. Signals are the process's business."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, manners: Manners) -> None:
        super().__init__(config)
        self._listener = listener
        self._manners = manners
        self._shares = ConnectionShares(connections=manners.limits.connections)
        self._tasks: set[asyncio.Task[None]] = set()
        self._shed = Tally(_say_who_is_crowded_out)
        self._untrusted = Tally(_say_whose_certificate_is_refused)
        if manners.tls is not None:
            manners.tls.on_new_authorities(self._part_with_certified)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

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
                connection, peer = await loop.sock_accept(self._listener)
            except OSError as error:
                # Out of descriptors, mostly: better later than never again.
                log.warning(f"a connection could not be accepted: {error.strerror}", action="accept")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._let_in(connection, share_of(peer[0]))

    def _let_in(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)
        # It stays valid while the connection is the loop's: both ends see that it is over.
        held = Held(address, partial(_hang_up, connection))
        leaving = self._shares.arrive(held, now=asyncio.get_running_loop().time())
        if leaving is not None:
            self._shed.add(leaving.address)
        if leaving is held:
            self._refuse(connection)
            return
        if leaving is not None:
            leaving.make_room()
        self._keep(asyncio.create_task(self._greet(connection, held)))

    async def _greet(self, connection: socket.socket, held: Held) -> None:
        loop, tls = asyncio.get_running_loop(), self._manners.tls
        context = tls.context if tls is not None else None
        is_handed_over = False
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None and self._manners.plain_too and await _first_byte(connection) != _TLS_HANDSHAKE:
                context = None
            is_handed_over = True
            await loop.connect_accepted_socket(
                partial(self._connection, held),
                connection,
                ssl=context,
                ssl_handshake_timeout=_GREETING_SECONDS if context else None,
            )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            if isinstance(error, ssl.SSLCertVerificationError):
                self._untrusted.add(f"{held.address} {error.verify_message}")
                self._manners.on_untrusted()
            self._shares.leave(held)
            connection.close()
        except asyncio.CancelledError:
            # If a transport has it already, that closes it as soon as it sees the end.
            _hang_up(connection)
            if not is_handed_over:
                connection.close()
            raise

    def _connection(self, held: Held) -> BoundedConnection:
        return BoundedConnection(
            held,
            self._shares,
            self._manners.limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            on_certificate=partial(self._look_who_it_is, held),
        )

    def _look_who_it_is(self, held: Held, shown: PresentedCertificate) -> None:
        if not self._manners.is_front_proxy(shown):
            return
        leaving = self._shares.speaks_for_many(held, now=asyncio.get_running_loop().time())
        if leaving is not None:
            self._shed.add(leaving.address)
            leaving.make_room()

    def _refuse(self, connection: socket.socket) -> None:
        if self._manners.tls is None:
            with contextlib.suppress(OSError):
                connection.send(last_answer(429, "TooManyRequests", TOO_MANY))
                connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _part_with_certified(self, is_good: Judge) -> None:
        """Whose certificate is not good any more has to begin anew: idle connections end now, others when answered."""
        for connection in tuple(self.server_state.connections):
            if not isinstance(connection, BoundedConnection) or connection.certificate is None:
                continue
            if not is_good(connection.certificate):
                connection.forget_certificate()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _say_who_is_crowded_out(address: str, count: int) -> None:
    log.warning(
        f"too many connections from {address}: {count} closed or refused",
        action="shed_connections",
        address=address,
        count=count,
    )


def _say_whose_certificate_is_refused(key: str, count: int) -> None:
    address, _, why = key.partition(" ")
    log.warning(
        f"client certificates from {address} were refused: {count} connections ended{f' ({why})' if why else ''}",
        action="failed_authentication",
        address=address,
        reason=why,
        count=count,
    )


async def _first_byte(connection: socket.socket) -> bytes:
    """Look at it, and leave it for whoever reads on; raises TimeoutError if it does not come."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())
    return connection.recv(1, socket.MSG_PEEK)
