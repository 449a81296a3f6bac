"""A cache bounded by what its entries cost, not by how many there are. Pure but for what it remembers.

For what is made of strangers' texts: a thousand entries may be a few kilobytes, or all the memory that there is.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class CostBoundedCache(Generic[KeyT, ValueT]):
    """Forgets what was not asked for the longest as soon as all together cost more than allowed. For several threads.

    What costs more than a quarter of all by itself is made again each time, and drives nothing else out.
    """

    def __init__(self, most: int) -> None:
        """`most` is what all entries may cost together, in any unit; bytes mostly."""
        self._most = most
        self._cost = 0
        self._entries: OrderedDict[KeyT, tuple[ValueT, int]] = OrderedDict()
        self._lock = Lock()

    @property
    def cost(self) -> int:
        """What is kept now."""
        return self._cost

    def of(self, key: KeyT, make: Callable[[], tuple[ValueT, int]]) -> ValueT:
        """The value of the key, made with its cost if it is not known; two threads may both make it."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
        value, cost = make()
        if cost <= self._most // 4:
            with self._lock:
                self._keep(key, value, cost)
        return value

    def _keep(self, key: KeyT, value: ValueT, cost: int) -> None:
        _, known = self._entries.pop(key, (None, 0))
        self._entries[key] = (value, cost)
        self._cost += cost - known
        while self._cost > self._most:
            _, (_, forgotten) = self._entries.popitem(last=False)
            self._cost -= forgotten
