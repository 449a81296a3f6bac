"""Statements, round trips, rows and messages for each object, counted on the wire in a run of its own."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import uvloop

from tests.benchmarks.report.readings import Report
from tests.benchmarks.report.sizes import Sizes
from tests.benchmarks.rows.throughput import register
from tests.benchmarks.stands.clients import binding, instance, through_chandlery
from tests.benchmarks.stands.platforms import Platform, platform
from tests.benchmarks.stands.wire import Traffic

_IDLE_SECONDS: Final = 2.0
_MAKERS: Final[dict[str, Callable[[str], dict[str, Any]]]] = {"instances": instance, "bindings": binding}


def measure_traffic(report: Report, broker: str, sizes: Sizes) -> None:
    """Note what an instance and a binding take, four processes."""
    count = min(sizes.count, 200)
    with platform("servers", is_counted=True) as place:
        found = uvloop.run(traffic_per_object(place, broker, count=count, creators=sizes.creators))
    for what, each in found.items():
        report.series[f"traffic of {what}"] = each
        report.note(f"servers/{what}_statements", each["statements"])
        report.note(f"servers/{what}_round_trips", each["round_trips"], note=f"{each['transactions']:.1f} transactions")


async def traffic_per_object(place: Platform, broker: str, *, count: int, creators: int) -> dict[str, dict[str, float]]:
    """Of instances and of bindings; what an idle system asks all the time is taken off."""
    found = {}
    async with place.client() as client:
        await register(client, {"fast": broker})
        for plural, make in _MAKERS.items():
            # Statements are prepared, caches filled.
            await through_chandlery(client, f"service{plural}", make, count=20, creators=creators, first=count)
        before, started = place.traffic.copy(), time.perf_counter()
        await asyncio.sleep(_IDLE_SECONDS)
        idle, idle_seconds = place.traffic.since(before), time.perf_counter() - started
        for plural, make in _MAKERS.items():
            before, started = place.traffic.copy(), time.perf_counter()
            await through_chandlery(client, f"service{plural}", make, count=count, creators=creators)
            await asyncio.sleep(0.5)
            share = (time.perf_counter() - started) / idle_seconds
            found[plural] = _each(place.traffic.since(before), idle, share, count)
    return found


def _each(seen: Traffic, idle: Traffic, share: float, count: int) -> dict[str, float]:
    return {name: (value - share * getattr(idle, name)) / count for name, value in vars(seen).items()}
