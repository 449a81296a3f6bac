"""Counts what goes over the wire to PostgreSQL and RabbitMQ, between any processes and the servers, of any revision.

The services are given the address of a relay, which hands everything on as it comes and reads along.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

import uvloop
from yarl import URL

_PROTOCOL_3: Final = 196608
_TRANSACTION_WORDS: Final = (b"BEGIN", b"COMMIT", b"ROLLBACK", b"START")
_TLS_REFUSED: Final = b"N"
_AMQP_HEADER: Final = 8
_METHOD_FRAME: Final = 1
_PUBLISH: Final = (60, 40)
_DELIVER: Final = (60, 60)


@dataclass
class Traffic:
    """What has gone by."""

    statements: int = 0
    """Executions; many sets of values given to one statement count each."""
    transactions: int = 0
    """COMMITs."""
    round_trips: int = 0
    """Answers of PostgreSQL that were waited for."""
    rows_written: int = 0
    published: int = 0
    delivered: int = 0

    def since(self, before: "Traffic") -> "Traffic":
        """What has been added."""
        return Traffic(**{name: value - getattr(before, name) for name, value in vars(self).items()})

    def copy(self) -> "Traffic":
        """As it is now."""
        return replace(self)


class _Reader:
    """Cuts a stream into messages, and has each one counted."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._kept = b""

    def take(self, data: bytes) -> None:
        self._kept += data
        start = 0
        while size := self._size(start):
            self._count(self._kept[start : start + size])
            start += size
        self._kept = self._kept[start:]

    def _size(self, start: int) -> int:
        """Of the message that begins there; 0 if it is not whole yet."""
        raise NotImplementedError

    def _count(self, message: bytes) -> None:
        raise NotImplementedError

    def _whole(self, start: int, size: int) -> int:
        return size if len(self._kept) - start >= size else 0


class _ToPostgres(_Reader):
    _is_started = False

    def _size(self, start: int) -> int:
        head = 0 if not self._is_started else 1
        if len(self._kept) - start < head + 8 - 4 * head:
            return 0
        return self._whole(start, head + int.from_bytes(self._kept[start + head : start + head + 4]))

    def _count(self, message: bytes) -> None:
        if not self._is_started:
            self._is_started = int.from_bytes(message[4:8]) == _PROTOCOL_3
            return
        kind, text = message[:1], message[5:17].upper()
        self._traffic.round_trips += kind in b"SQ"
        self._traffic.statements += kind == b"E" or (kind == b"Q" and not text.startswith(_TRANSACTION_WORDS))
        self._traffic.transactions += kind == b"Q" and text.startswith(b"COMMIT")


class _FromPostgres(_Reader):
    _is_fresh = True

    def _size(self, start: int) -> int:
        was_fresh, self._is_fresh = self._is_fresh, False
        if was_fresh and self._kept == _TLS_REFUSED:
            return 1
        if len(self._kept) - start < 5:
            return 0
        return self._whole(start, 1 + int.from_bytes(self._kept[start + 1 : start + 5]))

    def _count(self, message: bytes) -> None:
        if message[:1] == b"C" and message[5:].startswith((b"INSERT", b"UPDATE", b"DELETE")):
            self._traffic.rows_written += int(message[5:-1].split()[-1])


class _Amqp(_Reader):
    _is_greeted = False

    def _size(self, start: int) -> int:
        if not self._is_greeted and len(self._kept) < _AMQP_HEADER:
            return 0
        is_greeting = not self._is_greeted and self._kept.startswith(b"AMQP")
        self._is_greeted = True
        if is_greeting:
            return _AMQP_HEADER
        if len(self._kept) - start < 7:
            return 0
        return self._whole(start, 8 + int.from_bytes(self._kept[start + 3 : start + 7]))

    def _count(self, message: bytes) -> None:
        if message[0] != _METHOD_FRAME:
            return
        method = (int.from_bytes(message[7:9]), int.from_bytes(message[9:11]))
        self._traffic.published += method == _PUBLISH
        self._traffic.delivered += method == _DELIVER


class _End(asyncio.Protocol):
    """One side of a relayed connection."""

    def __init__(self, reader: _Reader, connected: Callable[["_End"], None]) -> None:
        self._reader = reader
        self._connected = connected
        self._early: list[bytes] = []
        self._other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._connected(self)

    def join(self, other: "_End") -> None:
        self._other = other.transport
        for data in self._early:
            self._other.write(data)

    def data_received(self, data: bytes) -> None:
        if self._other:
            self._other.write(data)
        else:
            self._early.append(data)
        self._reader.take(data)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._other:
            self._other.close()


@contextlib.contextmanager
def counted(database_url: str, amqp_url: str) -> Iterator[tuple[str, str, Traffic]]:
    """Both addresses through relays, and what goes by."""
    traffic, started, done = Traffic(), threading.Event(), asyncio.Event()
    urls, loop = [URL(database_url), URL(amqp_url)], uvloop.new_event_loop()
    ports: list[int] = []

    async def relay() -> None:
        for url, readers in zip(urls, ((_ToPostgres, _FromPostgres), (_Amqp, _Amqp)), strict=True):
            ports.append(await _listen(url, traffic, *readers))
        started.set()
        await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(relay()), daemon=True)
    thread.start()
    started.wait()
    try:
        database, amqp = (str(url.with_port(port)) for url, port in zip(urls, ports, strict=True))
        yield database, amqp, traffic
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


async def _listen(url: URL, traffic: Traffic, there: type[_Reader], back: type[_Reader]) -> int:
    loop, pending = asyncio.get_running_loop(), set()
    host, port = str(url.host), int(url.port or 0)

    def accepted(client: _End) -> None:
        async def connect() -> None:
            _, server = await loop.create_connection(lambda: _End(back(traffic), lambda _end: None), host, port)
            server.join(client)
            client.join(server)

        task = loop.create_task(connect())
        pending.add(task)
        task.add_done_callback(pending.discard)

    listening = await loop.create_server(lambda: _End(there(traffic), accepted), "127.0.0.1", 0)
    return int(listening.sockets[0].getsockname()[1])
