"""The checks of `/readyz` as metrics. Where no probe looks, this does: a scrape is to find something."""

import asyncio
from collections.abc import Iterator
from typing import Final

from chandlery.engine.readiness import Readiness
from chandlery.telemetry.catalog.processes import DEGRADED, READY
from chandlery.telemetry.metrics import Metrics, Sample

_EVERY_SECONDS: Final = 10.0


async def keep_ready_checks(readiness: Readiness, metrics: Metrics) -> None:
    """Look for ever."""

    def ready() -> Iterator[Sample]:
        return (Sample((name,), float(not each.is_in_the_way)) for name, each in readiness.latest.items())

    def degraded() -> Iterator[Sample]:
        optional = ((name, each) for name, each in readiness.latest.items() if each.part.without)
        return (Sample((name,), float(bool(each.failure))) for name, each in optional)

    metrics.collect(READY, ready)
    metrics.collect(DEGRADED, degraded)
    while True:
        await readiness.look(readiness.names)
        await asyncio.sleep(_EVERY_SECONDS)
