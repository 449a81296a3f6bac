"""A list of 10,000 instances in pages of 500, as JSON and as the Table that kubectl asks for."""

import statistics
import time
from typing import Final
from urllib.parse import quote

import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import ROOT, Client, one_by_one
from tests.benchmarks.stands.filling import NAMESPACE, fill_instances
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between

_PAGE: Final = 500
_ROUNDS: Final = 3
_FORMS: Final = {"json": "application/json", "table": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def measure_lists(report: Report, broker: str, sizes: Sizes) -> None:
    """Note the processor time of a page, all processes, and how long it takes."""
    with platform("servers") as place:
        uvloop.run(_one_instance(place, broker))
        fill_instances(place.database_url, "single-0", first=0, count=sizes.listed)
        uvloop.run(_list_all(report, place, sizes.listed))


async def _one_instance(place: Platform, broker: str) -> None:
    async with place.client() as client:
        await register(client, {"fast": broker})
        await one_by_one(client, count=1)


async def _list_all(report: Report, place: Platform, count: int) -> None:
    async with place.client() as client:
        for form, accept in _FORMS.items():
            await _walk(client, accept, count)
            costs, times = [], []
            for _ in range(_ROUNDS):
                before, started = place.processor_seconds(), time.perf_counter()
                pages = await _walk(client, accept, count)
                times.append(1000 * (time.perf_counter() - started) / pages)
                spent = spent_between(before, place.processor_seconds())
                costs.append(1000 * sum(spent.values()) / pages)
                report.series[f"CPU ms of a page, {form}"] = {
                    name: 1000 * seconds / pages for name, seconds in spent.items()
                }
            took = statistics.median(times)
            report.note(f"servers/page_{form}_cpu_ms", statistics.median(costs), note=f"{took:.0f} ms to the client")


async def _walk(client: Client, accept: str, count: int) -> int:
    path = f"{ROOT}/namespaces/{NAMESPACE}/serviceinstances?limit={_PAGE}"
    seen, pages, further = 0, 0, ""
    while True:
        page = await client.get(path + further, accept=accept)
        seen, pages = seen + len(page.get("items") or page.get("rows") or ()), pages + 1
        token = page["metadata"].get("continue")
        if not token:
            break
        further = f"&continue={quote(token)}"
    if seen != count:
        raise SystemExit(f"{seen} instances are listed, of {count}")
    return pages
