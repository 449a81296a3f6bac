"""Memory of the all-in-one that has 10,000 instances."""

import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import SPACE, instance, spread
from tests.benchmarks.stands.platforms import Platform, platform


def measure_large_memory(report: Report, broker: str, sizes: Sizes) -> None:
    """Note it when all have been made."""
    with platform("embedded") as place:
        uvloop.run(_fill(place, broker, sizes))
        report.note("embedded/memory_filled_mb", place.megabytes()["up"], note=f"{sizes.listed:,} instances")


async def _fill(place: Platform, broker: str, sizes: Sizes) -> None:
    async with place.client() as client:
        await register(client, {"fast": broker})

        async def create(name: str) -> None:
            await client.create(f"{SPACE}/serviceinstances", instance(name))

        await spread([f"instance-{number}" for number in range(sizes.listed)], create, sizes.creators)
