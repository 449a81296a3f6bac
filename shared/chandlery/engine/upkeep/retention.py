"""What is old is forgotten, in steps so small that nobody notices. The sweep's holder calls it.

How old is a matter of settings (`change_log_hours` and its neighbours); the stores have the statements.
"""

from datetime import UTC, datetime, timedelta

from chandlery.model.objects import kinds
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork

_STEP = 5_000
"""Rows that one transaction removes from one table."""
_WALKED = 1_000
"""Operations in which it is looked each time for some whose end nobody will see; see `forsaken_operations`."""
_AUDIT_PARTS = 10
"""Transactions for so many audit events: they have indexes, and SQLite lets nobody else write meanwhile."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_LOOK = timedelta(hours=1)
"""How far back it is looked at first whose events and operations have become too many."""


class Retention:
    """Prunes the change log, the audit log, events, operations, unpublished messages, and what is left of the gone.

    It also closes operations whose end nobody will see.
    """

    def __init__(self, database: Database, settings: Settings, *, step: int = _STEP) -> None:
        self._database = database
        self._settings = settings
        self._step = step
        self._looked_at: datetime | None = None
        self._walked_to = ""

    async def prune(self) -> bool:
        """Take one step in each table; returns whether there is more to take away."""
        now = self._database.clock()
        steps = (
            self._changes,
            self._events,
            self._too_many_events,
            self._operations,
            self._too_many_operations,
            self._messages,
            self._interests,
            self._external_ids,
        )
        # Each in a transaction of its own: one that is long would hold back the log's horizon for every watcher.
        removed = [await self._database.run(step) for step in steps]
        removed.append(await self._audit())
        self._walked_to = await self._database.run(self._walk)
        is_more = max(removed) >= self._step
        if not is_more:
            self._looked_at = now
        return is_more

    async def _changes(self, unit: UnitOfWork) -> int:
        before = _before(unit, hours=self._settings.change_log_hours)
        return await unit.changes.trim(before, limit=self._step)

    async def _events(self, unit: UnitOfWork) -> int:
        before = _before(unit, hours=self._settings.event_hours)
        return await unit.objects.remove_older(kinds.EVENT, before, limit=self._step)

    async def _too_many_events(self, unit: UnitOfWork) -> int:
        keep = self._settings.events_per_object
        return await unit.events.forget_surplus(keep=keep, since=self._since(unit), limit=self._step)

    async def _operations(self, unit: UnitOfWork) -> int:
        before = _before(unit, hours=24 * self._settings.operation_history_days)
        return await unit.operations.forget(before, limit=self._step)

    async def _too_many_operations(self, unit: UnitOfWork) -> int:
        keep = self._settings.operation_history_per_object
        return await unit.operations.forget_surplus(keep=keep, since=self._since(unit), limit=self._step)

    async def _walk(self, unit: UnitOfWork) -> str:
        return await unit.operations.forsaken.walk(self._walked_to, limit=_WALKED)

    def _since(self, unit: UnitOfWork) -> datetime:
        """Whoever has got no more since the last look has not too many."""
        return (self._looked_at or unit.now) - (timedelta(minutes=1) if self._looked_at else _FIRST_LOOK)

    async def _messages(self, unit: UnitOfWork) -> int:
        return await unit.outbox.forget(_before(unit, hours=self._settings.outbox_hours), limit=self._step)

    async def _interests(self, unit: UnitOfWork) -> int:
        return await unit.work_queue.forget_interests(limit=self._step)

    async def _external_ids(self, unit: UnitOfWork) -> int:
        return await unit.external_ids.forget(limit=self._step)

    async def _audit(self) -> int:
        limit, forgotten = max(1, self._step // _AUDIT_PARTS), 0

        async def forget(unit: UnitOfWork) -> int:
            return await unit.audit.forget(_before(unit, hours=self._settings.audit_hours), limit=limit)

        while forgotten < self._step:
            part = await self._database.run(forget)
            forgotten += part
            if part < limit:
                break
        return forgotten


def _before(unit: UnitOfWork, *, hours: float) -> datetime:
    """So long ago, and not before there was time: whoever wants to keep things for ever sets a number like 1000000."""
    return unit.now - timedelta(hours=min(hours, (unit.now - _FIRST) / timedelta(hours=1)))
