"""The newest changes in memory, and the bell that rings when there are more.

Comes in: each change as `watch_hub` reads it from the log.
Goes out: what comes after a position, as a batch that all watches at this position share, with what they make of it.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from chandlery.store.objects.changes import LoggedChange

_KEPT: Final = 5_000
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Recent changes in memory, and how long they are as JSON; who is further behind reads from the database."""
_PARTS: Final = 4
"""Of what is kept at most one comes in before watches have had their turn, or they would never see it."""
_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 256 * 1024
_SHARED: Final = 4
"""Positions at which watches are, of which the batch is kept until the next change."""
_SAID: Final = 16
_RUNG_AT_ONCE: Final = 10
"""Each of these watches may take some milliseconds before it gives way."""

POSITION: Final = attrgetter("position")


@dataclass(frozen=True)
class Batch:
    """Changes in order and without gaps."""

    changes: Sequence[LoggedChange] = ()
    said: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)
    most_said: int = _SAID

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.changes)

    @property
    def last(self) -> int:
        """The position that is reached with it."""
        return self.changes[-1].position

    def share(self, listeners: Hashable, said: Any) -> None:
        """Keep what these are told of it. For a few of them: what they have asked for is their own choice."""
        if len(self.said) < self.most_said:
            self.said[listeners] = said


NOTHING: Final = Batch()


def batches(changes: Sequence[LoggedChange], *, most_said: int = _SAID) -> Iterator[Batch]:
    """Short ones, so that nothing that is made of one takes long."""
    first = 0
    while first < len(changes):
        some = _first_of(islice(changes, first, first + _AT_ONCE))
        first += len(some)
        yield Batch(some, most_said=most_said)


def portions(changes: Sequence[LoggedChange]) -> Iterator[Sequence[LoggedChange]]:
    """As many at a time as `keep` may be given without forgetting what watches have not seen."""
    first = 0
    while first < len(changes):
        some = _first_of(islice(changes, first, first + _KEPT // _PARTS), most_bytes=_KEPT_BYTES // _PARTS)
        first += len(some)
        yield some


def _first_of(changes: Iterable[LoggedChange], *, most_bytes: int = _BYTES_AT_ONCE) -> Sequence[LoggedChange]:
    some: list[LoggedChange] = []
    size = 0
    for change in changes:
        size += len(change.body)
        if some and size > most_bytes:
            break
        some.append(change)
    return some


class RecentChanges:
    """The end of the change log."""

    def __init__(self) -> None:
        self.complete_from = 0
        """All changes after this position are here."""
        self._changes: deque[LoggedChange] = deque()
        self._bytes = 0
        self._shared: dict[int, Batch] = {}

    def begin_at(self, position: int) -> None:
        """Forget all; from here on nothing will be missed."""
        self.complete_from, self._bytes = position, 0
        self._changes.clear()
        self._shared.clear()

    def keep(self, changes: Sequence[LoggedChange]) -> None:
        """Add what comes next, and forget the oldest."""
        if changes:
            self._shared.clear()
        for change in changes:
            self._changes.append(change)
            self._bytes += len(change.body)
        while len(self._changes) > _KEPT or self._bytes > _KEPT_BYTES:
            oldest = self._changes.popleft()
            self.complete_from = oldest.position
            self._bytes -= len(oldest.body)

    def after(self, position: int) -> Batch:
        """The next changes after a position that is not before `complete_from`; the same batch for all there."""
        if not self._changes or self._changes[-1].position <= position:
            return NOTHING
        if (shared := self._shared.get(position)) is not None:
            return shared
        first = bisect_right(self._changes, position, key=POSITION)
        last = min(first + _AT_ONCE, len(self._changes))
        batch = Batch(_first_of(self._changes[place] for place in range(first, last)))
        if len(self._shared) < _SHARED:
            self._shared[position] = batch
        return batch


class Bell:
    """Wakes all who wait for it. Nobody is overlooked who looks first and then waits, with no step between."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiting)

    async def wait(self, *, seconds: float) -> None:
        """Until it rings, or for so long."""
        loop = asyncio.get_running_loop()
        rung = loop.create_future()
        self._waiting[rung] = None
        timer = loop.call_later(seconds, _end, rung)
        try:
            await rung
        finally:
            timer.cancel()
            self._waiting.pop(rung, None)

    async def ring(self) -> None:
        """Wake all who wait now, so many at a time that others have their turn between them."""
        waiting, self._waiting = list(self._waiting), {}
        for start in range(0, len(waiting), _RUNG_AT_ONCE):
            for rung in waiting[start : start + _RUNG_AT_ONCE]:
                _end(rung)
            await asyncio.sleep(0)


def _end(rung: "asyncio.Future[None]") -> None:
    if not rung.done():
        rung.set_result(None)
