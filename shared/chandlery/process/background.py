"""What a service does beside what it is asked for: loops that go on until it ends."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from chandlery.process.service import Running


class Endless(Protocol):
    """A loop of its own."""

    async def run(self) -> None:
        """Go on for ever, whatever goes wrong; ends by cancellation."""


class Beside:
    """A service with such loops beside it. See Running."""

    def __init__(self, inner: Running, *loops: Endless) -> None:
        self._inner = inner
        self._loops = loops

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """See Running."""
        tasks = [asyncio.create_task(loop.run()) for loop in self._loops]
        try:
            await self._inner.serve(stop, ready)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
