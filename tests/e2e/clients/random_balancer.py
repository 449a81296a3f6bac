"""One address for several gateways: each request, even on one connection, goes to one drawn at random."""

import asyncio
import random
import ssl
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from tests.e2e.stacks.programs import LOOPBACK

_SECONDS: Final = 30.0
# Those of one connection, not of the request.
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})


class RandomBalancer:
    """Ends TLS, draws a gateway per request, and passes every byte of body and every header on as it comes.

    A gateway that refuses connections is left out; one that dies in the middle of an answer cuts the client off.
    """

    def __init__(self, port: int, targets: Sequence[int], *, certificate: Path, key: Path, seed: int = 4) -> None:
        self.port = port
        self._targets = [f"https://{LOOPBACK}:{target}" for target in targets]
        self._random = random.Random(seed)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._trust = ssl.create_default_context(cafile=str(certificate))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)
        self._clients: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self.served: Counter[str] = Counter()
        """How many requests each gateway has answered, by its address."""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    async def _open(self) -> None:
        self._session = ClientSession(
            connector=TCPConnector(ssl=self._trust, limit=0),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        server = web.Server(self._pass_on, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port, ssl_context=self._tls).start()

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        # TLS would wait for the goodbye of clients, and those that keep idle connections do not say it in time.
        for client in list(self._clients):
            client.abort()
        # One pass of the loop to tell each connection of its end, one to close its socket.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            self._clients.add(request.transport)
        body = await request.read()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
        for target in self._random.sample(self._targets, len(self._targets)):
            answer = self._session.request(
                request.method,
                URL(target + request.raw_path, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            )
            with suppress(ClientConnectorError):
                async with answer as response:
                    self.served[target] += 1
                    return await self._relay(request, response)
        return web.Response(status=503, text="no gateway can be reached")

    @staticmethod
    async def _relay(request: web.BaseRequest, response: ClientResponse) -> web.StreamResponse:
        kept = [(name, value) for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP]
        answer = web.StreamResponse(status=response.status, reason=response.reason)
        for name, value in kept:
            answer.headers.add(name, value)
        await answer.prepare(request)
        try:
            async for chunk in response.content.iter_any():
                await answer.write(chunk)
        except ClientError:
            if request.transport is not None:
                request.transport.abort()
        return answer
