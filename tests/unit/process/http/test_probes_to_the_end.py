"""A worker answers its probes until its work is done: it is alive all the time, and ready only while it takes work."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from chandlery.engine.readiness import Readiness, unless
from chandlery.process import process
from chandlery.process.http import http_server
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics


async def test_worker_that_finishes_its_work_is_alive_and_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []
    listen = http_server.listen

    def listen_and_tell(host: str, port: int) -> Any:
        listener = listen(host, port)
        ports.append(listener.getsockname()[1])
        return listener

    monkeypatch.setattr(process, "listen", listen_and_tell)
    settings = SimpleNamespace(probe_host="127.0.0.1", probe_port=0, metrics_host="127.0.0.1", metrics_port=0)
    stop, readiness = asyncio.Event(), Readiness()
    readiness.add("shutdown", unless(stop.is_set, "it is stopping"))
    resources: Any = SimpleNamespace(settings=settings, readiness=readiness, metrics=PrometheusMetrics())
    async with process._pages(resources), aiohttp.ClientSession() as session:

        async def ask(path: str, *, of: int = 0) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{ports[of]}{path}") as response:
                return response.status, await response.text()

        # It listens from the beginning; the answer comes as soon as the server runs.
        assert await ask("/readyz") == (200, "ok")
        stop.set()
        assert await ask("/readyz") == (
            503,
            "[+]ping ok\n[-]shutdown failed: it is stopping\nreadyz check failed\n",
        )
        assert await ask("/livez") == (200, "ok")
        status, page = await ask("/metrics", of=1)
        assert status == 200 and "process_resident_memory_bytes" in page
        assert (await ask("/livez", of=1))[0] == 404
        async with session.head(f"http://127.0.0.1:{ports[1]}/metrics") as response:
            assert response.status == 200 and int(response.headers["Content-Length"]) > 0
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{ports[0]}/livez"):
            pass
