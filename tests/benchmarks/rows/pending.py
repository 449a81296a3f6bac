"""10,000 operations that service brokers take their time over, each polled every ten seconds by one provisioner."""

import asyncio
from typing import Any, Final

import aiohttp
import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import SPACE, instance, spread
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between
from tests.benchmarks.stands.service_brokers import fast_broker

_EVERY_SECONDS: Final = 10
_PATIENCE_SECONDS: Final = 300.0
_SETTINGS: Final = {"CHANDLERY_SHUTDOWN_SECONDS": "1", "CHANDLERY_LOG_LEVEL": "error"}


def measure_pending(report: Report, sizes: Sizes) -> None:
    """Note how late polls come at the service broker, and what they cost the provisioner and all processes."""
    with fast_broker("--poll-seconds", str(_EVERY_SECONDS)) as broker, platform("servers", settings=_SETTINGS) as place:
        uvloop.run(_measure(report, place, broker, sizes))


async def _measure(report: Report, place: Platform, broker: str, sizes: Sizes) -> None:
    async with place.client() as client:
        await register(client, {"fast": broker})

        async def create(name: str) -> None:
            await client.create(f"{SPACE}/serviceinstances", instance(name))

        await spread([f"instance-{number}" for number in range(sizes.pending)], create, sizes.creators)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (await _polls(broker))["operations"] < sizes.pending:
                await asyncio.sleep(1)
        # Those that were late because others were being made have had their turn again.
        await asyncio.sleep(_EVERY_SECONDS)
        await _polls(broker)
        before = place.processor_seconds()
        await asyncio.sleep(sizes.pending_seconds)
        spent, late = spent_between(before, place.processor_seconds()), sorted((await _polls(broker))["too_late"])
    polls = len(late) / sizes.pending_seconds
    if not late:
        raise SystemExit(f"no operation was polled in {sizes.pending_seconds:.0f} s")
    wanted = sizes.pending / _EVERY_SECONDS
    report.note("servers/pending_lag_p99_s", late[int(len(late) * 0.99)], note=f"{polls:.0f} polls/s of {wanted:.0f}")
    cores = {name: seconds / sizes.pending_seconds for name, seconds in spent.items()}
    report.series["cores busy with pending operations"] = cores
    report.note("servers/pending_cores", sum(cores.values()), note=f"provisioner {cores['provisioner']:.2f}")


async def _polls(broker: str) -> dict[str, Any]:
    """How many operations have been polled, and how late polls came since the last time that this was asked."""
    async with aiohttp.ClientSession() as session, session.get(f"{broker}/polls") as answer:
        return dict(await answer.json())
