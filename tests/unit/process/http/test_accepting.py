"""Crowds on one listener, on real sockets: who is silent, or half done with anything, never keeps others out."""

import asyncio
import contextlib
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from chandlery.process.http.accepting import Manners
from chandlery.process.http.bounded_connections import ConnectionLimits
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.tls_files import TlsFiles, self_signed
from tests.support.waiting import SOON

_CROWD: Final = 2000
_HALF_HELLO: Final = bytes.fromhex("16030100f8010000f40303")
"""The beginning of a TLS ClientHello, which promises 244 bytes more."""
_HALF_HEAD: Final = b"GET / HTTP/1.1\r\nHost: x\r\n"
_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def _answer(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    certificate, key = self_signed("127.0.0.1")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    return TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key")


@asynccontextmanager
async def _serving(manners: Manners) -> AsyncIterator[int]:
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(serve_http(_answer, listener, stop, manners=manners))
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        async with asyncio.timeout(SOON):
            await serving


async def _ask(port: int, *, tls: bool) -> bytes:
    """One request of somebody who comes from elsewhere than the crowd."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=("127.0.0.2", 0))
        writer.write(_REQUEST)
        try:
            return await reader.read()
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("said", [b"", _HALF_HELLO, _HALF_HEAD], ids=["silent", "half a handshake", "half a head"])
@pytest.mark.parametrize("protocol", ["plain", "tls", "both"])
async def test_crowd_that_is_never_done_keeps_nobody_out(protocol: str, said: bytes, tls: TlsFiles) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10_000), hard))
    limits = ConnectionLimits(connections=_CROWD, slow_seconds=10 * SOON)
    manners = Manners(limits=limits, tls=None if protocol == "plain" else tls, plain_too=protocol == "both")
    crowd: list[asyncio.StreamWriter] = []
    try:
        async with _serving(manners) as port:
            for address in ("127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.5"):
                for _ in range(_CROWD // 4):
                    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
                    with contextlib.suppress(ConnectionError):
                        writer.write(said)
                    crowd.append(writer)
            # Sooner than any time limit would send somebody away: those are ten times as long as this waits.
            assert (await _ask(port, tls=protocol != "plain")).endswith(b"ok")
            assert protocol != "both" or (await _ask(port, tls=False)).endswith(b"ok")
    finally:
        for writer in crowd:
            writer.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_one_address_leaves_as_many_places_as_it_holds() -> None:
    async with _serving(Manners(limits=ConnectionLimits(connections=8))) as port, asyncio.timeout(SOON):
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        # The fifth is one too many: the slowest, which has said nothing at all, is closed.
        assert await lines[0][0].read() == b""
        for _, writer in lines[1:]:
            writer.write(_REQUEST)
        assert [(await reader.read())[-2:] for reader, _ in lines[1:]] == [b"ok"] * 4
        for _, writer in lines:
            writer.transport.abort()


async def test_blank_lines_keep_no_connection() -> None:
    async with _serving(Manners(limits=ConnectionLimits(slow_seconds=0.3))) as port, asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok")).endswith(b"ok")
        writer.write(b"\r\n")
        assert await reader.read() == b""
        writer.transport.abort()
