"""`make bench-telemetry`: what metrics, logs and traces cost. A minute and a half.

Two platforms stand side by side on one pair of servers, each with its own database: one with everything off, one with
metrics, a line of log for each request, round and call, and traces of which 1 % are sent to a collector. They take
turns, batch by batch, so that both meet the same moods of the machine; the other one idles meanwhile.

Processor time of the services per object says most: the machine's other work is not in it.
"""

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.four_processes import SERVICES, Stack, four_processes, free_port
from tests.benchmarks.stands.clients import ROOT, Client, Run, binding, instance, through_chandlery
from tests.benchmarks.stands.databases import server_urls
from tests.benchmarks.stands.processor_time import cpu_seconds

BATCH: Final = 100
CREATORS: Final = 16
WARM_UP: Final = 2
TARGET: Final = 0.05
OFF: Final = {"CHANDLERY_METRICS": "false", "CHANDLERY_LOG_LEVEL": "error", "OTEL_TRACES_EXPORTER": "none"}
ON: Final = {
    "CHANDLERY_METRICS": "true",
    "CHANDLERY_LOG_LEVEL": "info",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.01",
}


@dataclass
class Side:
    """One of the two, and what it has been measured at."""

    title: str
    stack: Stack
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of processor time per object, of all four processes."""

    def used(self) -> float:
        """Seconds of processor time so far."""
        return sum(cpu_seconds(process.pid) for process in self.stack.processes.values())


async def register(client: Client, broker: str) -> None:
    """Wait until the broker's catalog is there."""
    run, begun = Run("broker", asked={"fast": 0.0}), asyncio.Event()
    watching = asyncio.create_task(client.watch_ready("clusterservicebrokers", run, 1, begun))
    await begun.wait()
    await client.create(f"{ROOT}/clusterservicebrokers", {"metadata": {"name": "fast"}, "spec": {"url": broker}})
    await asyncio.wait_for(watching, 30)


async def turn(client: Client, side: Side, number: int, *, counts: bool) -> None:
    """One batch of instances and of bindings to them."""
    before, started = side.used(), time.perf_counter()
    for plural, make in (("serviceinstances", instance), ("servicebindings", binding)):
        # Names are made from the plural, and each batch has its own.
        run = await through_chandlery(client, plural, make, count=BATCH, creators=CREATORS, first=number * BATCH)
        if len(run.ready) < BATCH:
            raise SystemExit(f"{side.title}: only {len(run.ready)} of {BATCH} {plural} became ready")
    if counts:
        side.seconds.append(time.perf_counter() - started)
        side.cpu.append(1000 * (side.used() - before) / (2 * BATCH))


async def measure(sides: list[Side], broker: str, *, rounds: int) -> None:
    """Turn and turn about, the first one of a round changing."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        clients = {side.title: Client(session, side.stack) for side in sides}
        for client in clients.values():
            await register(client, broker)
        for number in range(WARM_UP + rounds):
            for side in sides if number % 2 else reversed(sides):
                await turn(clients[side.title], side, number, counts=number >= WARM_UP)
            print(f"round {number + 1} of {WARM_UP + rounds}", end="\r", flush=True)


@contextlib.asynccontextmanager
async def collector(port: int) -> AsyncIterator[list[int]]:
    """Takes traces by OTLP over HTTP and forgets them; how large they were."""
    taken: list[int] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(len(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield taken
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def stacks(database: str, amqp: str, port: int) -> Iterator[list[Side]]:
    """Both platforms, each with its database."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    with contextlib.ExitStack() as stack:
        yield [
            Side(title, stack.enter_context(_platform(database, amqp, title, settings)))
            for title, settings in (("off", OFF), ("on", ON | endpoint))
        ]


def _platform(
    database: str, amqp: str, title: str, settings: Mapping[str, str]
) -> "contextlib.AbstractContextManager[Stack]":
    name = f"telemetry_{title}"
    asyncio.run(_create(database, name))
    url = f"{database.rpartition('/')[0]}/{name}"
    ports = {service: free_port() for service in SERVICES}
    return four_processes(database_url=url, amqp_url=amqp, ports=ports, settings=settings)


async def _create(server: str, name: str) -> None:
    connection = await asyncpg.connect(server.replace("+asyncpg", ""))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


def show(sides: list[Side]) -> float:
    """A table for people; returns by how much more processor time an object takes with everything on."""
    print(f"\n{'metrics, logs, traces':24}{'objects/s':>12}{'CPU ms/object':>16}{'least':>10}{'most':>10}")
    for side in sides:
        rate, cpu = 2 * BATCH / statistics.median(side.seconds), statistics.median(side.cpu)
        print(f"{side.title:24}{rate:12.1f}{cpu:16.2f}{min(side.cpu):10.2f}{max(side.cpu):10.2f}")
    off, on = sides
    # Of each round, in which both have met the same machine.
    slower = statistics.median(b / a for a, b in zip(off.seconds, on.seconds, strict=True)) - 1
    more = statistics.median(b / a for a, b in zip(off.cpu, on.cpu, strict=True)) - 1
    print(
        f"\non costs {100 * slower:+.1f} % of time and {100 * more:+.1f} % of CPU; target at most {100 * TARGET:.0f} %"
    )
    return more


async def run(sides: list[Side], port: int, broker: str, *, rounds: int) -> int:
    """Measure with a collector there; the bytes it was sent."""
    async with collector(port) as taken:
        await measure(sides, broker, rounds=rounds)
        return sum(taken)


def main() -> None:
    """Parse, start, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="batches of each side (default: %(default)s)")
    options = parser.parse_args()
    database, amqp = server_urls("make bench-telemetry")
    port, broker_port = free_port(), free_port()
    program = str(Path(__file__).with_name("fast_broker.py"))
    broker = subprocess.Popen([sys.executable, program, "--port", str(broker_port)], stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    try:
        with stacks(database, amqp, port) as sides:
            sent = uvloop.run(run(sides, port, f"http://127.0.0.1:{broker_port}", rounds=options.rounds))
            show(sides)
    finally:
        broker.terminate()
        broker.wait(10)
    print(f"{sent / 1024:.0f} KiB of traces were sent; took {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
