"""Giving way to others in the midst of long work: what is done in one go keeps everybody else from theirs."""

import asyncio
import time
from typing import Final

_SECONDS: Final = 0.005


class Breaths:
    """Of one task: knows since when it has not given way. The thread's own clock would be a call of the system."""

    __slots__ = ("_seconds", "_since")

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._since = time.monotonic()

    async def take(self) -> None:
        """Give way if that is a few milliseconds; costs next to nothing otherwise."""
        if time.monotonic() - self._since > self._seconds:
            await asyncio.sleep(0)
            self.were_taken()

    def were_taken(self) -> None:
        """Others have had their turn by another way."""
        self._since = time.monotonic()
