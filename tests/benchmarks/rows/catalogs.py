"""The first sync of large catalogs, and reading one anew on request that has not changed."""

import asyncio
import statistics
import time
from typing import Any, Final

import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import READY_SECONDS, ROOT, Client, Run
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between
from tests.benchmarks.stands.service_brokers import fast_broker

_SYNCS: Final = 3
_MOST_ENTRIES: Final = 10_000
"""Of one catalog, offering and plans together: more are refused."""
_RELISTS: Final = 7


def measure_catalogs(report: Report, sizes: Sizes) -> None:
    """Note POST to Ready for each size, and for the smallest what an unchanged relist takes and writes."""
    for plans in sizes.plans:
        offered = min(plans, _MOST_ENTRIES - 1)
        with platform("servers") as place:
            times = []
            for number in range(_SYNCS):
                with fast_broker("--plans", str(offered), "--service", f"sync-{number}") as broker:
                    times.append(uvloop.run(_sync(place, f"sync-{number}", broker)))
            report.note(f"servers/first_sync_{plans}_s", statistics.median(times), note=f"{offered:,} plans")
    plans = sizes.plans[0]
    with fast_broker("--plans", str(plans)) as broker:
        with platform("servers") as place:
            took, cost, _ = uvloop.run(_relist(place, broker, _RELISTS))
        with platform("servers", is_counted=True) as place:
            *_, rows = uvloop.run(_relist(place, broker, _RELISTS))
    report.note(
        f"servers/relist_{plans}_ms", took, note=f"{cost:.0f} ms of CPU, {rows:.0f} rows written, the request's too"
    )


async def _sync(place: Platform, name: str, broker: str) -> float:
    async with place.client() as client:
        run = await register(client, {name: broker})
        return run.ready[name] - run.asked[name]


async def _relist(place: Platform, broker: str, times: int) -> tuple[float, float, float]:
    """Milliseconds and milliseconds of processor time of all processes, and rows written where traffic is counted."""
    took, cost, rows = [], [], []
    async with place.client() as client:
        await register(client, {"fast": broker})
        for number in range(times):
            await asyncio.sleep(0.3)
            before, traffic = place.processor_seconds(), place.traffic.copy()
            took.append(await _relist_once(client, number + 1))
            cost.append(1000 * sum(spent_between(before, place.processor_seconds()).values()))
            rows.append(place.traffic.since(traffic).rows_written)
    return statistics.median(took), statistics.mean(cost), statistics.median(rows)


async def _relist_once(client: Client, number: int) -> float:
    run, begun = Run("relist", asked={"fast": 0.0}), asyncio.Event()

    def is_done(event: dict[str, Any]) -> bool:
        found = event["object"]
        return bool(
            found["spec"].get("relistRequests") == number
            and found.get("status", {}).get("reconciledGeneration") == found["metadata"]["generation"]
        )

    watching = asyncio.create_task(client.watch("clusterservicebrokers", run, 1, begun, is_done))
    await begun.wait()
    started = time.perf_counter()
    await client.patch(f"{ROOT}/clusterservicebrokers/fast", {"spec": {"relistRequests": number}})
    await asyncio.wait_for(watching, READY_SECONDS)
    return 1000 * (run.ready["fast"] - started)
