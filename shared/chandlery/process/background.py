"""What goes on beside what a service is asked for: loops that last until it ends, each for itself.

What one of them trips over must not end the others, nor pass unseen: a gateway that goes on serving, and has quietly
ceased to hear of authorities that are withdrawn, is worse than one that is gone.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import structlog

from chandlery.model.faults import Fault
from chandlery.process.service import Running

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 10.0

Loop = Callable[[], Awaitable[None]]


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
        tasks = [
            asyncio.create_task(_for_ever(type(loop).__name__, loop.run, pause_seconds=self._pause_seconds))
            for loop in self._loops
        ]
        try:
            await self._inner.serve(stop, ready)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def keep_going(loops: Mapping[str, Loop], *, pause_seconds: float = _PAUSE_SECONDS) -> None:
    """All of them, by what the log calls them; one that fails is told of and begun anew. Ends by cancellation."""
    async with asyncio.TaskGroup() as group:
        for what, loop in loops.items():
            group.create_task(_for_ever(what, loop, pause_seconds=pause_seconds))


async def _for_ever(what: str, loop: Loop, *, pause_seconds: float) -> None:
    while True:
        why, place = "it has come to an end", {}
        try:
            await loop()
        except Fault as fault:
            why = fault.message
        except Exception as error:  # noqa: BLE001 - nobody would notice that what it does is not done any more
            # Not its message, which may quote what was read.
            why, place = type(error).__name__, {"exception": "".join(traceback.format_tb(error.__traceback__))}
        log.error(f"{what} has failed and begins anew: {why}", action="begin_anew", **place)
        await asyncio.sleep(pause_seconds)
