"""A port that is a server when the test says so: a database or message bus that is not there yet, or not now."""

import contextlib
import random
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from tests.e2e.stacks.programs import LOOPBACK, free_port

_CHUNK_BYTES: Final = 65_536
_USUAL_PORTS: Final = {"amqp": 5672, "amqps": 5671}
_POSTGRES_PORT: Final = 5432


class TcpRelay:
    """Nobody listens on the port until `open`; then bytes go to and fro between it and the server of `url`.

    Where there are several servers, each connection goes to one of those that accept it, by chance.
    """

    def __init__(self, url: str, *others: str) -> None:
        parts = urlsplit(url)
        self._targets = [_target(each) for each in (url, *others)]
        self.served: set[int] = set()
        """The ports of servers that have been connected to."""
        self.left_out: set[int] = set()
        """The ports of servers that get no new connections."""
        self.port = free_port()
        userinfo, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{userinfo}{at}{LOOPBACK}:{self.port}"))
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        for thread in list(self._threads):
            thread.join(5)
        for each in self._sockets:
            each.close()

    def open(self) -> None:
        """Begin to listen, or go on listening."""
        if self._listener is not None:
            return
        self._listener = socket.create_server((LOOPBACK, self.port))
        self._run(self._accept, self._listener)

    def cut(self) -> None:
        """Break every connection, and listen no more."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = self._connect()
                if far is None:
                    near.close()
                    continue
                self._sockets += [near, far]
                self._run(_pump, near, far)
                self._run(_pump, far, near)

    def _connect(self) -> socket.socket | None:
        offered = [target for target in self._targets if target[1] not in self.left_out]
        for target in random.sample(offered, len(offered)):
            with contextlib.suppress(OSError):
                found = socket.create_connection(target)
                self.served.add(target[1])
                return found
        return None

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or LOOPBACK, parts.port or _USUAL_PORTS.get(parts.scheme, _POSTGRES_PORT)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            sink.sendall(chunk)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
