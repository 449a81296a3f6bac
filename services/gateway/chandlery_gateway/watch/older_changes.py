"""Changes that are no longer in memory, for watches that have fallen behind: read once for all who are at one place.

Comes in: the position of a watch, and up to where it has to read because memory begins there.
Goes out: batches, which all share who come while one of them is still telling them; nobody keeps them longer.
Called by: `watch_hub`.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextvars import Context
from functools import partial
from weakref import WeakSet

from chandlery.model.faults import Expired
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import LoggedChange
from chandlery_gateway.watch.recent_changes import POSITION, Batch, batches

BATCH = 1000
_SAID = 2
"""A client that does not read can hold all of it for long."""


class Older:
    """All changes from behind a position up to another one."""

    def __init__(self, position: int, reached: int, changes: Sequence[LoggedChange]) -> None:
        self.reached = reached
        self._position = position
        self._batches = list(batches(changes, most_said=_SAID))

    def covers(self, position: int) -> bool:
        """Whether the next changes after the position are among them, or there are none up to where they end."""
        return self._position <= position < self.reached

    def after(self, position: int) -> Iterator[Batch]:
        """What is behind the position."""
        for batch in self._batches:
            if batch.changes[0].position > position:
                yield batch
            elif batch.last > position:
                yield Batch(batch.changes[bisect_right(batch.changes, position, key=POSITION) :])


class OlderChanges:
    """Reads them from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._being_told = WeakSet[Older]()
        self._reading: dict[int, asyncio.Task[Older]] = {}

    def forget(self) -> None:
        """What somebody is being told is nothing to anybody else."""
        self._being_told.clear()
        self._reading.clear()

    async def at(self, position: int, *, complete_from: int) -> Older:
        """What comes after the position, which is before where memory begins. Raises Expired, Unavailable."""
        for older in self._being_told:
            if older.covers(position):
                return older
        if (reading := self._reading.get(position)) is None:
            # Whose watch happens to be the first is no matter of the others, nor is it if that one ends.
            reading = asyncio.create_task(self._read(position, complete_from), context=Context())
            self._reading[position] = reading
            reading.add_done_callback(partial(self._has_read, position))
        return await asyncio.shield(reading)

    def _has_read(self, position: int, reading: "asyncio.Task[Older]") -> None:
        if self._reading.get(position) is reading:
            del self._reading[position]
        if not reading.cancelled():
            # Whoever waits is told; there may be nobody any more.
            reading.exception()

    async def _read(self, position: int, complete_from: int) -> Older:
        changes = await self._database.run(partial(_read_older, position=position))
        # Nothing up to where memory began before: go on there, or it would be asked for for ever.
        older = Older(position, changes[-1].position if changes else complete_from, changes)
        self._being_told.add(older)
        return older


async def _read_older(unit: UnitOfWork, position: int) -> Sequence[LoggedChange]:
    batch = await unit.changes.read(position, limit=BATCH)
    # After reading, so that nothing is forgotten in between.
    await refuse_forgotten(unit, position)
    return batch


async def refuse_forgotten(unit: UnitOfWork, position: int) -> None:
    """Raises Expired if not all changes after the position are there."""
    if position < await unit.changes.trimmed_to():
        raise Expired(f"too old resource version: {position}; list again and watch from there")
