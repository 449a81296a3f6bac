"""The checks of `/readyz` as a metric. Where no probe looks, this does: a scrape is to find something."""

import asyncio
from collections.abc import Iterator
from typing import Final

from chandlery.engine.readiness import Readiness
from chandlery.telemetry.catalog.processes import READY
from chandlery.telemetry.metrics import Metrics, Sample

_EVERY_SECONDS: Final = 10.0


async def keep_ready_checks(readiness: Readiness, metrics: Metrics) -> None:
    """Look for ever."""

    def found() -> Iterator[Sample]:
        return (Sample((name,), 0.0 if look.failure else 1.0) for name, look in readiness.latest.items())

    metrics.collect(READY, found)
    while True:
        await readiness.look(readiness.names)
        await asyncio.sleep(_EVERY_SECONDS)
