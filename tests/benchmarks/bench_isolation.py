"""`make bench-isolation`: what others notice of a service broker that hangs. Under two minutes.

20 instances are made at a healthy service broker, over and over: alone, while 60 instances hang at a second one that
answers after 60 s, and while 1,000 do. Time is from the first request to the last Ready, seen through a watch.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.four_processes import SERVICES, Stack, four_processes, free_port
from tests.benchmarks.stands.clients import ROOT, SPACE, Client, Run
from tests.benchmarks.stands.databases import server_urls
from tests.benchmarks.stands.processor_time import memory

BATCH = 20
CREATORS = 16
WARM_UP = 10
"""Batches that do not count: caches and connections fill."""
MOST_SECONDS = 110.0
TARGET = 1.2
BROKERS = {"healthy": 0, "hanging": 60_000}
"""Names and how many milliseconds each takes to answer, catalogs apart."""


@dataclass(frozen=True)
class Phase:
    """So many instances hung, and so long took each batch at the healthy service broker."""

    hanging: int
    seconds: list[float]

    @property
    def median(self) -> float:
        """Seconds that a batch takes."""
        return statistics.median(self.seconds)


def instance(name: str, broker: str) -> dict[str, Any]:
    """The manifest of an instance at that service broker."""
    spec = {"clusterServiceClassExternalName": f"{broker}-service", "clusterServicePlanExternalName": "default"}
    return {"metadata": {"name": name}, "spec": spec}


async def create_all(client: Client, names: list[str], broker: str) -> None:
    """Create instances from several tasks at once."""
    waiting = iter(names)

    async def creator() -> None:
        for name in waiting:
            await client.create(f"{SPACE}/serviceinstances", instance(name, broker))

    await asyncio.gather(*(creator() for _ in range(CREATORS)))


async def one_batch(client: Client, label: str) -> float:
    """Seconds from the first request to the last Ready of 20 instances at the healthy service broker."""
    names = [f"healthy-{label}-{number}" for number in range(BATCH)]
    run, begun = Run(label, asked=dict.fromkeys(names, 0.0)), asyncio.Event()
    watching = asyncio.create_task(client.watch_ready("serviceinstances", run, BATCH, begun))
    await begun.wait()
    started = time.perf_counter()
    await create_all(client, names, "healthy")
    await watching
    return max(run.ready.values()) - started


async def phase(client: Client, hanging: int, rounds: int) -> Phase:
    """Several batches, one after the other."""
    return Phase(hanging, [await one_batch(client, f"{hanging}-{number}") for number in range(rounds)])


async def measure(stack: Stack, brokers: dict[str, str], phases: list[Phase], *, rounds: int) -> None:
    """All phases in order, with batches before them that do not count."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Client(session, stack)
        run, begun = Run("brokers", asked=dict.fromkeys(brokers, 0.0)), asyncio.Event()
        watching = asyncio.create_task(client.watch_ready("clusterservicebrokers", run, len(brokers), begun))
        await begun.wait()
        for name, url in brokers.items():
            await client.create(f"{ROOT}/clusterservicebrokers", {"metadata": {"name": name}, "spec": {"url": url}})
        await watching
        for number in range(WARM_UP):
            await one_batch(client, f"warm-up-{number}")
        phases.append(await phase(client, 0, rounds))
        made = 0
        for hanging in (60, 1_000):
            print(f"{hanging} instances are being made at the hanging service broker …", flush=True)
            await create_all(client, [f"hanging-{number}" for number in range(made, hanging)], "hanging")
            made = hanging
            # Let the workers take up what they can of it.
            await asyncio.sleep(2)
            phases.append(await phase(client, hanging, rounds))


def show(phases: list[Phase]) -> float:
    """A table for people; returns the largest ratio."""
    alone = phases[0].median
    print(f"\n{BATCH} instances at a healthy broker{'':8}{'median s':>10}{'best s':>10}{'worst s':>10}{'ratio':>8}")
    for each in phases:
        title = f"while {each.hanging:,} hang at another" if each.hanging else "alone"
        figures = f"{each.median:10.3f}{min(each.seconds):10.3f}{max(each.seconds):10.3f}{each.median / alone:8.2f}"
        print(f"{title:38}{figures}")
    return max(each.median / alone for each in phases)


@contextmanager
def running_brokers() -> Iterator[dict[str, str]]:
    """The service brokers as processes of their own: names and addresses."""
    program = str(Path(__file__).with_name("fast_broker.py"))
    processes, urls = [], {}
    for name, delay in BROKERS.items():
        port = free_port()
        command = [
            sys.executable,
            program,
            "--port",
            str(port),
            "--delay-ms",
            str(delay),
            "--service",
            f"{name}-service",
        ]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        urls[name] = f"http://127.0.0.1:{port}"
    try:
        yield urls
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def main() -> None:
    """Parse, start, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="batches in each phase (default: %(default)s)")
    options = parser.parse_args()
    database, amqp = server_urls("make bench-isolation")
    started = time.perf_counter()
    # What hangs at the end is given back soon: nobody waits for it any more.
    settings = {"CHANDLERY_SHUTDOWN_SECONDS": "1", "CHANDLERY_LOG_LEVEL": "error"}
    with (
        running_brokers() as brokers,
        four_processes(
            database_url=database,
            amqp_url=amqp,
            ports={name: free_port() for name in SERVICES},
            settings=settings,
        ) as stack,
    ):
        phases: list[Phase] = []
        try:
            uvloop.run(asyncio.wait_for(measure(stack, brokers, phases, rounds=options.rounds), MOST_SECONDS))
        except TimeoutError:
            print(f"not done after {MOST_SECONDS:.0f} s: this machine is too busy to measure on", file=sys.stderr)
        if not phases:
            raise SystemExit(1)
        worst = show(phases)
        memory(stack)
    print(f"\nworst ratio {worst:.2f}, target {TARGET}; took {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
