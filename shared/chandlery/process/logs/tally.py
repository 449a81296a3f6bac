"""Counts what happens often, by key, such as an address: told at once the first time, and then as a sum.

For sums that a sentence of their own tells; `folding.py` folds lines that somebody writes without counting.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

EVERY_SECONDS: Final = 10.0
_MOST_KEYS: Final = 256
OTHERS: Final = "others"
"""Stands for all whom there is no room to count one by one."""


class Tally:
    """Counts by key, such as an address. The first time is told at once, the others of the same key together, later."""

    def __init__(self, say: Callable[[str, int], None], *, seconds: float = EVERY_SECONDS) -> None:
        """`say` gets the key and how often it happened since it was told last."""
        self._say = say
        self._seconds = seconds
        self._untold: dict[str, int] = {}
        _TALLIES.add(self)

    def add(self, key: str = "") -> None:
        """It happened. To be called on the running loop."""
        if key not in self._untold and len(self._untold) >= _MOST_KEYS:
            key = OTHERS
        if key in self._untold:
            self._untold[key] += 1
            return
        self._say(key, 1)
        self._tell_later(key)

    def tell(self) -> None:
        """Tell all that is untold, for the process ends."""
        untold, self._untold = self._untold, {}
        for key, count in untold.items():
            if count:
                self._say(key, count)

    def _tell_later(self, key: str) -> None:
        self._untold[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._tell, key)

    def _tell(self, key: str) -> None:
        count = self._untold.pop(key, 0)
        if count:
            self._say(key, count)
            self._tell_later(key)


_TALLIES: Final[WeakSet[Tally]] = WeakSet()


def tell_tallies() -> None:
    """Tell what all of this process have not told yet."""
    for tally in list(_TALLIES):
        tally.tell()
