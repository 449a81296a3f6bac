"""What is counted in the database for metrics: by one process for all, every quarter of a minute, for years.

So each statement has to be cheap at a million objects. On PostgreSQL, with a million rows of work:

- `backlog` takes a few milliseconds. There is no index on `due_at`, which would cost every round a write. But what is
  due and free is to be put on the bus again within the sweep's longest pause, and what is at rest never: so the index
  of the sweep leads to it. If all are due, it reads `MOST` of them in a tenth of a second.
- `objects` takes a third of a second: there is no way round looking at all. It reads nothing but an index of 7 MiB, in
  which kind, lane and Ready stand, and the table only where that was written to since it was vacuumed last. Whoever
  asks does so more rarely than for the others.
- `expiring` has an index of its own, in which only bindings stand whose credentials end.
- `outbox` is empty but for moments.

A count stops at `MOST`, which is late enough for everybody who looks at it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import case, func, or_, select, text

from chandlery.model.objects import kinds
from chandlery.store.rows import utc
from chandlery.store.schema import OUTBOX
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.work.work_queue import CLOCK_TOLERANCE, LONGEST_PAUSE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 100_000
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_HAVE_READY: Final = (kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind, *(k.kind for k in kinds.BROKER_KINDS))
_UNKNOWN: Final = "Unknown"


class DueWork(NamedTuple):
    """Objects of a kind and a lane that are due and that nobody works on."""

    kind: str
    lane: str
    number: int
    seconds: float
    """For how long the oldest has been due."""


class ReadyObjects(NamedTuple):
    """Objects of a kind and a lane by the status of their condition Ready."""

    kind: str
    lane: str
    ready: str
    number: int


class ExpiringBindings(NamedTuple):
    """Bindings of a lane whose credentials have ended or will, each number with those of the one before."""

    lane: str
    within_hour: int
    within_day: int
    within_week: int


class WaitingMessages(NamedTuple):
    """The outbox."""

    number: int
    seconds: float
    """Age of the oldest message."""


class CountStore:
    """Counts, as this transaction sees them. Changes nothing."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def backlog(self) -> Sequence[DueWork]:
        """What is due and free, what waits for its turn or for a circuit left out: that is due later."""
        free = or_(W.c.lease_until.is_(None), W.c.lease_until < self._now)
        soon = W.c.enqueue_after <= self._now + LONGEST_PAUSE + CLOCK_TOLERANCE
        due = select(W.c.kind, W.c.lane, W.c.due_at).where(soon, W.c.due_at <= self._now, free).limit(MOST).subquery()
        query = select(due.c.kind, due.c.lane, func.count(), func.min(due.c.due_at)).group_by(due.c.kind, due.c.lane)
        rows = (await self._connection.execute(query)).all()
        return [DueWork(kind, lane, count, self._seconds_since(oldest)) for kind, lane, count, oldest in rows]

    async def objects(self) -> Sequence[ReadyObjects]:
        """All objects that can be Ready. One without that condition is as if it were Unknown."""
        # All kinds, in the order of the index: with a condition PostgreSQL would rather read the whole table.
        query = select(W.c.kind, W.c.lane, W.c.ready, func.count()).group_by(W.c.kind, W.c.lane, W.c.ready)
        rows = (await self._connection.execute(query)).all()
        counted = [ReadyObjects(kind, lane, ready or _UNKNOWN, number) for kind, lane, ready, number in rows]
        return [each for each in counted if each.kind in _HAVE_READY]

    async def expiring(self) -> Sequence[ExpiringBindings]:
        """Bindings whose credentials end soon, and that are not being rotated."""
        soon = select(W.c.lane, W.c.expires_at).where(W.c.expires_at <= self._now + WEEK).limit(MOST).subquery()
        within_hour, within_day = (
            func.sum(case((soon.c.expires_at <= self._now + span, 1), else_=0)) for span in (HOUR, DAY)
        )
        query = select(soon.c.lane, within_hour, within_day, func.count()).group_by(soon.c.lane)
        return [ExpiringBindings(*row) for row in (await self._connection.execute(query)).all()]

    async def outbox(self) -> WaitingMessages:
        """What the bus has not confirmed."""
        some = select(OUTBOX.c.id).limit(MOST).subquery()
        number = (await self._connection.execute(select(func.count()).select_from(some))).scalar_one()
        oldest = (await self._connection.execute(select(OUTBOX.c.at).order_by(OUTBOX.c.id).limit(1))).scalar()
        return WaitingMessages(number, self._seconds_since(oldest))

    async def size(self) -> int:
        """Of the database, in bytes."""
        if self._connection.dialect.name == "postgresql":
            query = "SELECT pg_database_size(current_database())"
        else:
            query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return int((await self._connection.execute(text(query))).scalar_one())

    def _seconds_since(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (self._now - utc(moment)).total_seconds())
