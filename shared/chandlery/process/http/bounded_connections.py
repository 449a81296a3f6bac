"""HTTP connections that cannot be held for ever by a client who is slow or silent, and make room for others.

`accepting` makes one for each socket, and `connection_shares` decides who has to go. uvicorn bounds how long an idle
connection is kept, and stops reading and writing when its buffers are full. What a client may then do without end is
refused here: a head that trickles in, an answer that is not taken.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from chandlery.process.http.connection_shares import ConnectionShares, Held, Stage
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE, PresentedCertificate, read_presented

log = structlog.get_logger(__name__)

_MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_PIPELINED: Final = 100
"""Requests on one connection that wait for the answer to the first; nobody sends more without reading."""
_LEAST_BYTES: Final = 48 * 1024
"""What a client takes at least of what waits for it, each `slow_seconds`. A full buffer of 64 KiB counts as taken when
16 KiB are left in it."""


TOO_MANY: Final = "too many connections, please try again later"
_GOODBYE_SECONDS: Final = 1.0
_FOR_BROWSERS: Final = b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Of one listener."""

    connections: int = 2000
    """All together; one address holds no more than are left for the others."""
    slow_seconds: float = 30.0
    """How long the head of a request may take, and a client that takes nothing of its answer."""


class BoundedConnection(HttpToolsProtocol):
    """One connection. Everything not said here is uvicorn's."""

    def __init__(
        self,
        held: Held,
        shares: ConnectionShares,
        limits: ConnectionLimits,
        *,
        on_certificate: Callable[[PresentedCertificate], None],
        **options: Any,
    ) -> None:
        """`on_certificate` is told whose connection it is, if its client has shown that."""
        super().__init__(**options)
        self._on_certificate = on_certificate
        self._held = held
        self._shares = shares
        self._limits = limits
        self._head_bytes = 0
        self._is_in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.certificate: PresentedCertificate | None = None
        """What the client has shown and an authority vouches for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From now on it is ours to end."""
        super().connection_made(transport)
        self.certificate = read_presented(transport)
        self._held.make_room = self._make_room
        self._await_head()
        if self.certificate is not None:
            self._on_certificate(self.certificate)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers."""
        super().connection_lost(exc)
        self._shares.leave(self._held)
        self._stop_head_timer()
        self._stop_write_timer()

    def data_received(self, data: bytes) -> None:
        """Count what comes before a head is complete."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._is_in_head:
            if self._held.stage is Stage.IDLE and self._head_timer is None:
                # Blank lines are no request, and have stopped the timer of idle connections.
                self._await_head()
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD_BYTES:
            self._answer_and_close(
                431, "BadRequest", f"the head of a request may have at most {_MOST_HEAD_BYTES} bytes"
            )
        elif self._head_timer is None:
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered like all else."""
        self._answer_and_close(400, "BadRequest", msg.removesuffix("."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes after the body (trailers) is thrown away: whoever has checked the head has not seen it.

        A proxy passes on the trailers of its clients. Among the headers they would say what only the proxy may say.
        """
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head came in time."""
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_head_timer()
        if len(self.pipeline) >= _MOST_PIPELINED:
            # The parser answers 400 to whatever is raised here.
            raise ConnectionRefusedError
        super().on_headers_complete()
        self._note_stage()

    def on_body(self, body: bytes) -> None:
        """What comes after the answer, as of a body that was refused, is thrown away, but not for ever."""
        if self._head_timer is None and self.cycle.response_complete:
            self._await_head()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._stop_head_timer()
        super().on_message_complete()

    def on_message_begin(self) -> None:
        """Its first byte is there."""
        self._is_in_head = True
        self._note_stage()
        super().on_message_begin()
        if self.certificate is not None:
            self.scope[CLIENT_CERTIFICATE] = self.certificate  # type: ignore[typeddict-unknown-key]

    def forget_certificate(self) -> None:
        """Nobody vouches for it any more: what is under way has none from now on, and nothing comes after it."""
        self.certificate = None
        for cycle in (self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.scope.pop(CLIENT_CERTIFICATE, None)  # type: ignore[typeddict-item]
        self.shutdown()

    def on_response_complete(self) -> None:
        """Unless the next request is there already it may be closed for another connection."""
        super().on_response_complete()
        self._note_stage()

    def pause_writing(self) -> None:
        """The buffer is full: the client has to take something of it soon."""
        super().pause_writing()
        if self._write_timer is None:
            self._await_taking(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It did."""
        super().resume_writing()
        self._stop_write_timer()

    def _note_stage(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            stage = Stage.BUSY
        else:
            stage = Stage.UNFINISHED if self._is_in_head else Stage.IDLE
        self._shares.become(self._held, stage, now=self.loop.time())

    def _make_room(self) -> None:
        if self._is_in_head:
            self._answer_and_close(429, "TooManyRequests", TOO_MANY)
        else:
            self.transport.close()
        # Closing waits for the client: of TLS until it has said goodbye too.
        self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.slow_seconds, self._give_head_up)

    def _give_head_up(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._answer_and_close(408, "Timeout", f"no request arrived within {self._limits.slow_seconds:g} s")
        else:
            self.transport.close()

    def _await_taking(self, size: int) -> None:
        self._write_timer = self.loop.call_later(self._limits.slow_seconds, self._look_what_was_taken, size)

    def _look_what_was_taken(self, before: int) -> None:
        self._write_timer = None
        left = self.transport.get_write_buffer_size()
        if before - left >= _LEAST_BYTES:
            self._await_taking(left)
            return
        log.warning(
            "the connection of a client that does not read was closed", action="cut_slow_client", unread_bytes=left
        )
        # Closing would wait until the rest is taken.
        self.transport.abort()

    def _answer_and_close(self, code: int, reason: str, message: str) -> None:
        self.transport.write(last_answer(code, reason, message))
        self.transport.close()
        self._stop_head_timer()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def last_answer(code: int, reason: str, message: str) -> bytes:
    """A whole response with a `Status`, after which the connection is closed."""
    retry = b"retry-after: 1\r\n" if code == 429 else b""  # noqa: PLR2004 - an HTTP code is itself
    body = (
        f'{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{message}",'
        f'"reason":"{reason}","code":{code}}}'
    ).encode()
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n" % len(body)
    return STATUS_LINE[code] + retry + _FOR_BROWSERS + head + b"\r\n" + body
