"""What is old is forgotten, in steps so small that nobody notices. The sweep's holder calls it.

How old is a matter of settings (`change_log_hours` and its neighbours); the stores have the statements. Each looks at a
bounded number of rows of one index, however large its table, so that none is long; and while there is more, a round
follows in a second.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.pruning.steps import Place, Step

_STEP = 5_000
"""Rows that one transaction looks at in one table."""
_WALKED = 1_000
"""Operations in which it is looked each time for some whose end nobody will see; see `forsaken_operations`."""
_AUDIT_PARTS = 10
"""Transactions for so many audit events: they have indexes, and SQLite lets nobody else write meanwhile."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_LOOK = timedelta(hours=1)
"""How far back it is looked at first whose events and operations have become too many."""
_OVERLAP = timedelta(minutes=1)
"""How far back it is looked again: who has begun a transaction before may have committed it since."""


class Retention:
    """Prunes the change log, the audit log, events, operations, unpublished messages, and what is left of the gone.

    It also closes operations whose end nobody will see.
    """

    def __init__(self, database: Database, settings: Settings, *, step: int = _STEP) -> None:
        self._database = database
        self._settings = settings
        self._step = step
        self._places: dict[str, Place | None] = {}
        self._since: dict[str, datetime] = {}
        self._steps = deque(self._all_steps())

    async def prune(self) -> bool:
        """Take one step in each table; returns whether there is more to take away.

        Where one fails, the next round begins behind it, so that the others have their turn.
        """
        is_more = False
        for _ in range(len(self._steps)):
            step = self._steps[0]
            self._steps.rotate(-1)
            is_more |= await step()
        return is_more

    def _all_steps(self) -> Iterator[Callable[[], Awaitable[bool]]]:
        # Each in a transaction of its own: one that is long would hold back the log's horizon for every watcher.
        for step in (
            self._changes,
            self._events,
            self._too_many_events,
            self._operations,
            self._too_many_operations,
            self._messages,
            self._interests,
            self._external_ids,
            self._forsaken,
        ):
            yield partial(self._database.run, step)
        yield self._audit

    async def _changes(self, unit: UnitOfWork) -> bool:
        before = _before(unit, hours=self._settings.change_log_hours)
        return await unit.changes.trim(before, limit=self._step) >= self._step

    async def _events(self, unit: UnitOfWork) -> bool:
        before = _before(unit, hours=self._settings.event_hours)
        step = await unit.old_events.forget(before, limit=self._step, after=self._places.get("events"))
        self._go_on("events", unit, step)
        return step.reached is not None

    async def _too_many_events(self, unit: UnitOfWork) -> bool:
        keep = self._settings.events_per_object

        async def walk(since: datetime, after: Place | None) -> Step:
            return await unit.old_events.forget_surplus(keep=keep, since=since, limit=self._step, after=after)

        return await self._follow("surplus events", unit, walk)

    async def _operations(self, unit: UnitOfWork) -> bool:
        before = _before(unit, hours=24 * self._settings.operation_history_days)
        return await unit.operations.forget(before, limit=self._step) >= self._step

    async def _too_many_operations(self, unit: UnitOfWork) -> bool:
        keep = self._settings.operation_history_per_object

        async def walk(since: datetime, after: Place | None) -> Step:
            return await unit.operations.forget_surplus(keep=keep, since=since, limit=self._step, after=after)

        return await self._follow("surplus operations", unit, walk)

    async def _follow(
        self, name: str, unit: UnitOfWork, walk: Callable[[datetime, Place | None], Awaitable[Step]]
    ) -> bool:
        """Go on through what has been written since: whoever has got no more has not too many."""
        since = self._since.get(name, unit.now - _FIRST_LOOK)
        step = await walk(since, self._places.get(name))
        self._go_on(name, unit, step)
        if step.reached is None:
            unit.after_commit(partial(self._since.__setitem__, name, unit.now - _OVERLAP))
        return step.reached is not None

    def _go_on(self, name: str, unit: UnitOfWork, step: Step) -> None:
        unit.after_commit(partial(self._places.__setitem__, name, step.reached))

    async def _forsaken(self, unit: UnitOfWork) -> bool:
        """At leisure, too: few are forsaken."""
        after, *_ = self._places.get("forsaken") or ("",)
        reached = await unit.operations.forsaken.walk(after, limit=_WALKED)
        self._go_on("forsaken", unit, Step(0, (reached,)))
        return False

    async def _messages(self, unit: UnitOfWork) -> bool:
        gone = await unit.outbox.forget(_before(unit, hours=self._settings.outbox_hours), limit=self._step)
        return gone >= self._step

    async def _interests(self, unit: UnitOfWork) -> bool:
        return await self._look_for_orphans("interests", unit, unit.orphans.forget_interests)

    async def _external_ids(self, unit: UnitOfWork) -> bool:
        return await self._look_for_orphans("external ids", unit, unit.orphans.forget_external_ids)

    async def _look_for_orphans(self, name: str, unit: UnitOfWork, forget: Callable[..., Awaitable[Step]]) -> bool:
        """Round and round, at leisure; at once where some are found, of which there may be more."""
        step = await forget(limit=self._step, after=self._places.get(name))
        self._go_on(name, unit, step)
        return step.removed > 0

    async def _audit(self) -> bool:
        limit, forgotten = max(1, self._step // _AUDIT_PARTS), 0

        async def forget(unit: UnitOfWork) -> int:
            return await unit.audit.forget(_before(unit, hours=self._settings.audit_hours), limit=limit)

        while forgotten < self._step:
            part = await self._database.run(forget)
            forgotten += part
            if part < limit:
                return False
        return True


def _before(unit: UnitOfWork, *, hours: float) -> datetime:
    """So long ago, and not before there was time: whoever wants to keep things for ever sets a number like 1000000."""
    return unit.now - timedelta(hours=min(hours, (unit.now - _FIRST) / timedelta(hours=1)))
