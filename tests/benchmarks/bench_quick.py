"""`make bench-quick`: how fast instances and bindings become Ready, beside what a broker alone takes. Under a minute.

500 instances, then 500 bindings, made by 16 concurrent creators over HTTP; Ready is seen through a watch, as a client
would. The same calls are made bare to the same broker in the same run, which is the floor of any platform. Then 100 of
each go through relays that count what goes over the wire to PostgreSQL and RabbitMQ.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.four_processes import Stack
from tests.benchmarks.rows.traffic import traffic_per_object
from tests.benchmarks.stands.clients import ROOT, Client, Run, bare, binding, instance, one_by_one, through_chandlery
from tests.benchmarks.stands.platforms import platform
from tests.benchmarks.stands.processor_time import memory
from tests.benchmarks.stands.service_brokers import fast_broker

COUNTED = 100


def show(runs: list[Run]) -> None:
    """A table for people."""
    print(f"\n{'':44}{'rate/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for run in runs:
        print(f"{run.title:44}{run.rate:9.1f}" + "".join(f"{value:9.1f}" for value in run.percentiles()))


async def measure(stack: Stack, broker: str, *, count: int, creators: int) -> list[Run]:
    """All phases in order."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Client(session, stack)
        run, begun = Run("broker", asked={"fast": time.perf_counter()}), asyncio.Event()
        watching = asyncio.create_task(client.watch_ready("clusterservicebrokers", run, 1, begun))
        await begun.wait()
        await client.create(f"{ROOT}/clusterservicebrokers", {"metadata": {"name": "fast"}, "spec": {"url": broker}})
        await asyncio.wait_for(watching, 15)
        singles = await one_by_one(client, count=20)
        print(f"{count} instances, {creators} creators …", flush=True)
        instances = await through_chandlery(client, "serviceinstances", instance, count=count, creators=creators)
        print(f"{count} bindings, {creators} creators …", flush=True)
        bindings = await through_chandlery(client, "servicebindings", binding, count=count, creators=creators)
        floor = [
            await bare(session, broker, what, count=count, creators=creators) for what in ("instances", "bindings")
        ]
        return [instances, floor[0], bindings, floor[1], singles]


def show_traffic(found: dict[str, dict[str, float]]) -> None:
    """What each object takes on the wire; what is asked of an idle system is not in it."""
    names = next(iter(found.values()))
    print(f"\n{'for each':14}" + "".join(f"{name.replace('_', ' '):>14}" for name in names))
    for what, each in found.items():
        print(f"{what.removesuffix('s'):14}" + "".join(f"{value:14.1f}" for value in each.values()))


def main() -> None:
    """Parse, start, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--creators", type=int, default=16)
    options = parser.parse_args()
    started = time.perf_counter()
    with fast_broker() as broker:
        print("starting four processes …", flush=True)
        with platform("servers") as place:
            show(uvloop.run(measure(place.stack, broker, count=options.count, creators=options.creators)))
            memory(place.stack)
        with platform("servers", is_counted=True) as place:
            counting = traffic_per_object(place, broker, count=COUNTED, creators=options.creators)
            show_traffic(uvloop.run(counting))
    print(f"\ntook {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
