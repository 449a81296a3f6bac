"""`make soak`: half an hour of comings and goings at three replicas of each worker and two gateways.

Instances and bindings are made, changed and deleted without end, while memory and tables are measured; what is kept is
kept for minutes here, so that it has to be thrown away as well. Nothing may grow: the exit status is 1 if something
does. CHANDLERY_TEST_SOAK_MINUTES (30) says how long. A whole run writes its plots into `docs/reliability.md`.
"""

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import uvloop
from yarl import URL

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.four_processes import Stack, four_processes, free_port
from tests.benchmarks.soak_report import Sample, Soak, write_page
from tests.benchmarks.stands.clients import ROOT, SPACE, binding, instance, is_ready
from tests.benchmarks.stands.databases import server_urls
from tests.benchmarks.stands.processor_time import cpu_seconds, resident

MINUTES: Final = float(os.environ.get("CHANDLERY_TEST_SOAK_MINUTES", "30"))
REPLICAS: Final = 3
GATEWAYS: Final = 2
USERS: Final = 6
STAYING: Final = 100
"""Instances that are there from the beginning to the end."""
_KEPT_HOURS: Final = "0.05"
_SAMPLE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 60.0
_WHOLE_MINUTES: Final = 30
_SIZES: Final = "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
_SETTINGS: Final = {
    "CHANDLERY_CHANGE_LOG_HOURS": _KEPT_HOURS,
    "CHANDLERY_EVENT_HOURS": _KEPT_HOURS,
    "CHANDLERY_OUTBOX_HOURS": _KEPT_HOURS,
    "CHANDLERY_OPERATION_HISTORY_DAYS": "0.002",
}


@dataclass
class User:
    """Talks to either gateway, as a load balancer would have it."""

    session: aiohttp.ClientSession
    stack: Stack
    draw: random.Random = field(default_factory=lambda: random.Random(1))

    async def call(self, method: str, path: str, document: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.stack.token}"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        url = self.draw.choice(self.stack.urls) + path
        async with self.session.request(method, url, json=document, headers=headers) as answer:
            if answer.status >= 400 and answer.status != 404:
                raise SystemExit(f"{method} {path}: {answer.status} {await answer.text()}")
            return answer.status, await answer.json()

    async def until(self, path: str, *, is_gone: bool = False, generation: int = 1) -> None:
        """Wait until the object is ready in this generation, or gone."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                status, found = await self.call("GET", path)
                if (status == 404) if is_gone else _is_settled(found, generation):
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def settle_in(self, name: str) -> None:
        """An instance with a binding."""
        await self.call("POST", f"{SPACE}/serviceinstances", instance(name))
        await self.until(f"{SPACE}/serviceinstances/{name}")
        await self.call("POST", f"{SPACE}/servicebindings", binding(name))
        await self.until(f"{SPACE}/servicebindings/{name}")

    async def live(self, name: str) -> None:
        """Come, change, go."""
        await self.settle_in(name)
        changed = {"spec": {"parameters": {"size": name}}}
        await self.call("PATCH", f"{SPACE}/serviceinstances/{name}", changed)
        await self.until(f"{SPACE}/serviceinstances/{name}", generation=2)
        for plural in ("servicebindings", "serviceinstances"):
            await self.call("DELETE", f"{SPACE}/{plural}/{name}")
            await self.until(f"{SPACE}/{plural}/{name}", is_gone=True)


def _is_settled(found: dict[str, Any], generation: int) -> bool:
    reconciled: int = found.get("status", {}).get("reconciledGeneration", generation)
    return is_ready(found) and reconciled >= generation


async def soak(stack: Stack, broker: str, database_url: str) -> Soak:
    """Run it to the end."""
    seen = Soak()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        user = User(session, stack)
        offered = {"metadata": {"name": "fast"}, "spec": {"url": broker}}
        await user.call("POST", f"{ROOT}/clusterservicebrokers", offered)
        await user.until(f"{ROOT}/clusterservicebrokers/fast")
        await asyncio.gather(*(user.settle_in(f"staying-{number}") for number in range(STAYING)))
        numbers, over = itertools.count(), time.monotonic() + 60 * MINUTES

        async def come_and_go() -> None:
            while time.monotonic() < over:
                await user.live(f"life-{next(numbers)}")
                seen.lives += 1

        sampling = asyncio.create_task(_sample(seen, stack, database_url))
        await asyncio.gather(*(come_and_go() for _ in range(USERS)))
        sampling.cancel()
        # Should it have ended before, by a fault of its own, that is raised here.
        with suppress(asyncio.CancelledError):
            await sampling
        _, left = await user.call("GET", f"{SPACE}/serviceinstances")
        seen.left_over = len(left["items"]) - STAYING
    return seen


async def _sample(seen: Soak, stack: Stack, database_url: str) -> None:
    connection = await asyncpg.connect(str(URL(database_url).with_scheme("postgresql")))
    started = time.monotonic()
    pids = {name: process.pid for name, process in stack.processes.items()}
    while True:
        tables = {name: size / 2**20 for name, size in await connection.fetch(_SIZES)}
        memory = {name: resident(pid) for name, pid in pids.items()}
        seen.cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        seen.samples.append(Sample(time.monotonic() - started, memory, tables))
        if len(seen.samples) % 6 == 0:
            total = f"{sum(memory.values()):.0f} MB in processes, {sum(tables.values()):.1f} MB in tables"
            print(f"· {time.strftime('%X')} {seen.lives} lives, {total}", file=sys.stderr, flush=True)
        await asyncio.sleep(_SAMPLE_SECONDS)


def _names() -> list[str]:
    counts = {"gateway": GATEWAYS, "provisioner": REPLICAS, "binder": REPLICAS, "syncer": REPLICAS}
    return [name if at == 1 else f"{name}-{at}" for name, count in counts.items() for at in range(1, count + 1)]


def main() -> int:
    """Start everything, run, tell, end everything."""
    database, amqp = server_urls("make soak")
    port = free_port()
    program = str(Path(__file__).with_name("fast_broker.py"))
    broker = subprocess.Popen([sys.executable, program, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        ports = {name: free_port() for name in _names()}
        with four_processes(database_url=database, amqp_url=amqp, ports=ports, settings=_SETTINGS) as stack:
            seen = uvloop.run(soak(stack, f"http://127.0.0.1:{port}", database))
    finally:
        broker.terminate()
        broker.wait(10)
    print(seen.text())
    if MINUTES >= _WHOLE_MINUTES:
        write_page(seen)
    for complaint in seen.complaints():
        print(complaint, file=sys.stderr)
    return int(bool(seen.complaints()))


if __name__ == "__main__":
    sys.exit(main())
