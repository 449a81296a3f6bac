"""A worker answers its probes until its work is done: it is alive all the time, and ready only while it takes work."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from chandlery.runtime import http_server, process
from chandlery.runtime.service import Service


class _Answering:
    async def ping(self) -> None:
        """As a server that is there does."""


async def test_worker_that_finishes_its_work_is_alive_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    listen = http_server.listen

    def listen_and_tell(host: str, port: int) -> Any:
        listener = listen(host, port)
        ports.append(listener.getsockname()[1])
        return listener

    monkeypatch.setattr(process, "listen", listen_and_tell)
    settings = SimpleNamespace(probe_host="127.0.0.1", probe_port=0)
    resources: Any = SimpleNamespace(settings=settings, database=_Answering(), bus=_Answering())
    worker = Service(name="worker", summary="", build=lambda _resources: pytest.fail("it is not asked for"))
    stop = asyncio.Event()
    async with process._probes([worker], resources, lambda: not stop.is_set()), aiohttp.ClientSession() as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{ports[0]}{path}") as response:
                return response.status, await response.text()

        # It listens from the beginning; the answer comes as soon as the server runs.
        assert await ask("/readyz") == (200, "ok\n")
        stop.set()
        assert await ask("/readyz") == (503, "starting or stopping\n")
        assert await ask("/livez") == (200, "ok\n")
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{ports[0]}/livez"):
            pass
