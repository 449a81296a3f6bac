"""What an instance costs where a million of them are stored, beside what it costs where there are a thousand."""

import statistics
import time
from typing import Final

import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import instance, one_by_one, through_chandlery
from tests.benchmarks.stands.filling import fill_instances
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.processor_time import spent_between

_FEW: Final = 1_000
_BATCH: Final = 200
_BATCHES: Final = 5


def measure_stored(report: Report, broker: str, sizes: Sizes) -> None:
    """Note the ratio of processor time, all processes, and that of the time a batch takes."""
    with platform("servers") as place:
        uvloop.run(_prepare(place, broker))
        fill_instances(place.database_url, "single-0", first=0, count=_FEW)
        few = uvloop.run(_batches(place, sizes, first=_BATCH))
        started = time.perf_counter()
        fill_instances(place.database_url, "single-0", first=_FEW, count=sizes.stored - _FEW)
        filled = time.perf_counter() - started
        many = uvloop.run(_batches(place, sizes, first=_BATCH * (_BATCHES + 1)))
    dearer, slower = many[0] / few[0], many[1] / few[1]
    note = f"{few[0]:.1f} → {many[0]:.1f} ms, {sizes.stored:,} filled in {filled:.0f} s"
    report.note("servers/stored_cpu_ratio", dearer, note=note)
    report.note("servers/stored_time_ratio", slower, note=f"{_BATCH / few[1]:.0f} → {_BATCH / many[1]:.0f} instances/s")


async def _prepare(place: Platform, broker: str) -> None:
    async with place.client() as client:
        await register(client, {"fast": broker})
        await one_by_one(client, count=1)
        await through_chandlery(client, "serviceinstances", instance, count=_BATCH, creators=16)


async def _batches(place: Platform, sizes: Sizes, *, first: int) -> tuple[float, float]:
    """Medians of the milliseconds of processor time per instance, and of the seconds of a batch."""
    costs, times = [], []
    async with place.client() as client:
        for number in range(_BATCHES):
            before, begin = place.processor_seconds(), first + number * _BATCH
            run = await through_chandlery(
                client, "serviceinstances", instance, count=_BATCH, creators=sizes.creators, first=begin
            )
            costs.append(1000 * sum(spent_between(before, place.processor_seconds()).values()) / _BATCH)
            times.append(run.ended - run.started)
    return statistics.median(costs), statistics.median(times)
