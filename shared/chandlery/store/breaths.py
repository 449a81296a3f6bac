"""Lets others have a turn between two steps of work that cannot leave the event loop, such as that on large rows.

No step takes long by itself, for objects are bounded; but some of them one after the other would.
"""

import asyncio
import time
from typing import Final

_SECONDS: Final = 0.005


class Breaths:
    """Of one task: knows for how long the loop's thread has computed."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.thread_time()

    async def take(self) -> None:
        """Give way if it has been computed for a few milliseconds; costs next to nothing otherwise."""
        if time.thread_time() - self._since > _SECONDS:
            await asyncio.sleep(0)
            self._since = time.thread_time()
