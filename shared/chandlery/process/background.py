"""What a service does beside what it is asked for: loops that go on until it ends."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from chandlery.model.faults import Fault
from chandlery.process.service import Running

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 10.0


class Endless(Protocol):
    """A loop of its own."""

    async def run(self) -> None:
        """Go on for ever; ends by cancellation. What it cannot cope with has it begun anew."""


class Beside:
    """A service with such loops beside it. See Running."""

    def __init__(self, inner: Running, *loops: Endless, pause_seconds: float = _PAUSE_SECONDS) -> None:
        """A loop that ends by a mistake is begun anew after `pause_seconds`."""
        self._inner = inner
        self._loops = loops
        self._pause_seconds = pause_seconds

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        tasks = [asyncio.create_task(self._kept_up(loop)) for loop in self._loops]
        try:
            await self._inner.serve(stop, ready)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _kept_up(self, loop: Endless) -> None:
        while True:
            why = "it has come to an end"
            try:
                await loop.run()
            except Fault as fault:
                why = fault.message
            except Exception as error:  # noqa: BLE001 - nobody would notice that what it does is not done any more
                # Texts of exceptions can quote data.
                why = type(error).__name__
            log.error(f"{type(loop).__name__} is begun anew: {why}", action="begin_anew")
            await asyncio.sleep(self._pause_seconds)
