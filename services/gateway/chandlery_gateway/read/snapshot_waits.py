"""Which moment a read shows. On PostgreSQL what is committed is not always what a version can tell: see ADR 0004.

A short wait makes up for that: a list that shows more than its version says has a watch from there on repeat it.
"""

import asyncio
from typing import Final

from chandlery.store.database import Database
from chandlery.store.objects.snapshots import Snapshot
from chandlery_gateway.kube.query.version_faults import VersionTooLarge

_PATIENCE_SECONDS: Final = 3.0
"""How long a version may stay beyond the horizon before it is said to be too large; API servers wait as long."""
_SETTLING_SECONDS: Final = 1.0
"""How long a list waits for transactions that were open when it was asked for."""
_PAUSE_SECONDS: Final = 0.01


class SnapshotWaits:
    """Takes snapshots of one database, and waits for those that a client asks for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self, *, at_least: int = 0) -> Snapshot:
        """What is committed by now. Waits a little until the horizon is beyond the version.

        Raises VersionTooLarge if no such version has been given out yet, so that waiting cannot help.
        """
        return await self._beyond(at_least, await self._first(at_least), _PATIENCE_SECONDS)

    async def settled(self, *, at_least: int = 0) -> Snapshot:
        """A moment that its version tells exactly, with everything in it that had been committed by now.

        Somebody who keeps a transaction open for long does not hold up lists: they get what is committed all the same,
        and what its version does not tell a watch repeats. Raises VersionTooLarge, as `now` does.
        """
        first = await self._first(at_least)
        snapshot = await self._beyond(first.end - 1, first, _SETTLING_SECONDS)
        return Snapshot.at(snapshot.version) if snapshot.horizon >= first.end else snapshot

    async def _first(self, at_least: int) -> Snapshot:
        snapshot = await self._take()
        if at_least >= snapshot.end:
            raise VersionTooLarge(at_least, snapshot.version)
        return snapshot

    async def _take(self) -> Snapshot:
        return await self._database.run(lambda unit: unit.changes.snapshot())

    async def _beyond(self, position: int, snapshot: Snapshot, seconds: float) -> Snapshot:
        """The first snapshot whose horizon is beyond the position, or the last one within this time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while position >= snapshot.horizon and loop.time() < deadline:
            await asyncio.sleep(_PAUSE_SECONDS)
            snapshot = await self._take()
        return snapshot
