"""Relists by the clock of a catalog that has not changed, which the service broker answers with 304."""

import asyncio
from typing import Final

import aiohttp
import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import ROOT
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between
from tests.benchmarks.stands.service_brokers import fast_broker

_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 3.0


def measure_relists(report: Report, sizes: Sizes) -> None:
    """Note the processor time of one, all processes, above what an idle system takes; and the rows that it writes."""
    plans = sizes.plans[0]
    with fast_broker("--plans", str(plans), "--etag") as broker:
        with platform("servers") as place:
            cost, _ = uvloop.run(_relist_by_the_clock(place, broker))
        with platform("servers", is_counted=True) as place:
            _, rows = uvloop.run(_relist_by_the_clock(place, broker))
    report.note(f"servers/relist_{plans}_clock_ms", cost, note=f"{rows:.1f} rows written")


async def _relist_by_the_clock(place: Platform, broker: str) -> tuple[float, float]:
    """Milliseconds of processor time, and rows, of each relist."""
    async with place.client() as client:
        await register(client, {"fast": broker})
        await asyncio.sleep(_SETTLE_SECONDS)
        idle = await _window(place, broker)
        await client.patch(f"{ROOT}/clusterservicebrokers/fast", {"spec": {"relistDuration": "1s"}})
        await asyncio.sleep(_SETTLE_SECONDS)
        busy = await _window(place, broker)
    relists = busy[2] - idle[2]
    if relists < 1:
        raise SystemExit(f"the catalog was not read anew within {_SECONDS:.0f} s")
    return 1000 * (busy[0] - idle[0]) / relists, (busy[1] - idle[1]) / relists


async def _window(place: Platform, broker: str) -> tuple[float, int, int]:
    """Seconds of processor time, rows written and answers of 304 within ten seconds."""
    before, traffic, known = place.processor_seconds(), place.traffic.copy(), await _not_modified(broker)
    await asyncio.sleep(_SECONDS)
    spent = sum(spent_between(before, place.processor_seconds()).values())
    return spent, place.traffic.since(traffic).rows_written, await _not_modified(broker) - known


async def _not_modified(broker: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{broker}/not-modified") as answer:
        return int(await answer.json())
