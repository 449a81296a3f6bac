"""One, two and four provisioners at a service broker that takes 200 ms for each call."""

import statistics
from dataclasses import dataclass
from typing import Final

import uvloop

from tests.benchmarks.four_processes import SERVICES, four_processes, free_port
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import instance, through_chandlery
from tests.benchmarks.stands.databases import fresh_database, server_urls
from tests.benchmarks.stands.platforms import Platform
from tests.benchmarks.stands.processor_time import server_processes, spent_between
from tests.benchmarks.stands.service_brokers import fast_broker

DELAY_MS: Final = 200
NUMBERS: Final = (1, 2, 4)
_WARM_UP: Final = 64
_CREATORS: Final = 16


@dataclass(frozen=True)
class FleetFigure:
    """So many provisioners, and what came of it."""

    provisioners: int
    rate: float
    """Instances to Ready in a second."""
    p50_ms: float
    """From the request to Ready."""
    cpu_ms: dict[str, float]
    """Of an instance, by process; that of all provisioners together."""


def measure_provisioners(count: int) -> list[FleetFigure]:
    """Each number on a platform of its own."""
    with fast_broker("--delay-ms", str(DELAY_MS)) as broker:
        return [_measure(broker, number, count) for number in NUMBERS]


def _measure(broker: str, number: int, count: int) -> FleetFigure:
    database, amqp = server_urls("make bench-scale")
    names = [*SERVICES, *(f"provisioner-{further}" for further in range(2, number + 1))]
    with (
        fresh_database(database) as url,
        four_processes(database_url=url, amqp_url=amqp, ports={name: free_port() for name in names}) as stack,
    ):
        systems = {name: [process.pid] for name, process in stack.processes.items()}
        place = Platform("servers", stack, {**systems, **server_processes()}, url)
        figure = uvloop.run(_run(place, broker, number, count))
    print(f"  {number} provisioners: {figure.rate:.0f}/s, CPU {sum(figure.cpu_ms.values()):.1f} ms", flush=True)
    return figure


async def _run(place: Platform, broker: str, number: int, count: int) -> FleetFigure:
    async with place.client() as client:
        await register(client, {"fast": broker})
        await through_chandlery(client, "serviceinstances", instance, count=_WARM_UP, creators=_CREATORS, first=count)
        before = place.processor_seconds()
        run = await through_chandlery(client, "serviceinstances", instance, count=count, creators=_CREATORS)
    if len(run.ready) < count:
        raise SystemExit(f"only {len(run.ready)} of {count} instances were ready")
    cpu: dict[str, float] = {}
    for name, seconds in spent_between(before, place.processor_seconds()).items():
        service = name.partition("-")[0]
        cpu[service] = cpu.get(service, 0.0) + 1_000 * seconds / count
    waited = statistics.median(run.ready[name] - run.asked[name] for name in run.ready)
    return FleetFigure(number, run.rate, 1_000 * waited, cpu)
