"""How late the event loop is: a timer that is due every half second, and by how much it was not on time.

All that a process does waits for the same loop, so that this is what everybody waits at least.
"""

import asyncio
import time
from typing import Final

from chandlery.telemetry.catalog.processes import EVENT_LOOP_DELAY_SECONDS
from chandlery.telemetry.metrics import Metrics

EVERY_SECONDS: Final = 0.5


async def keep_loop_delay(metrics: Metrics) -> None:
    """Measure for ever."""
    while True:
        due = time.monotonic() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        metrics.observe(EVENT_LOOP_DELAY_SECONDS, value=max(0.0, time.monotonic() - due))
