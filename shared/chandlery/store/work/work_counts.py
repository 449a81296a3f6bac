"""What is counted in the database for metrics: by one process for all, every quarter of a minute, for years.

So each statement has to be cheap at a million objects, whatever has been written to since the table was vacuumed. On
PostgreSQL, with a million rows of work in 488 MiB and shared buffers of 128 MiB:

- `backlog` takes 8 to 40 ms for 10,000 that are due. If all are, it takes 8 ms page by page, or 15 to 70 ms by the
  index where statistics are old: it reads `MOST_DUE` at the most (411 MiB, shared buffers of 256 MiB). There is no
  index on `due_at`, which would cost every round a write. But what is due and free is to be put on the bus again within
  the sweep's longest pause, and what is at rest never: so the index of the sweep leads to it. `MOST_DUE` does not bound
  what is looked at in vain: if all are due within that pause and none yet, or all are held, that is each row, for 0.15
  to 0.25 s, and 0.9 s when two thirds of the table are dead rows. The first count after all was written takes 0.4 s.
- `objects` comes in parts of 0.1 s, or at once from an index in 0.4 s (`object_counts.py`).
- `expiring` has an index of its own, in which only bindings stand whose credentials end: 2 ms for 1,000.
- `outbox` is empty but for moments.

No statement may take longer than two seconds, or more than one core: no number is better than a server that is busy
with counting.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import case, func, or_, select, text

from chandlery.store.rows import utc
from chandlery.store.schema import OUTBOX
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.work.object_counts import CountedPart, count_part
from chandlery.store.work.work_queue import CLOCK_TOLERANCE, LONGEST_PAUSE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 100_000
MOST_DUE: Final = 20_000
"""Of them each may be on another page of the table: 20,057 buffers by the index."""
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_STATEMENT_MILLISECONDS: Final = 2_000
_TAKES_LITTLE: Final = select(
    func.set_config("statement_timeout", str(_STATEMENT_MILLISECONDS), True),
    func.set_config("max_parallel_workers_per_gather", "0", True),
)


class DueWork(NamedTuple):
    """Objects of a kind and a lane that are due and that nobody works on."""

    kind: str
    lane: str
    number: int
    seconds: float
    """For how long the oldest has been due."""


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
        await self._take_little()
        free = or_(W.c.lease_until.is_(None), W.c.lease_until < self._now)
        soon = W.c.enqueue_after <= self._now + LONGEST_PAUSE + CLOCK_TOLERANCE
        due = (
            select(W.c.kind, W.c.lane, W.c.due_at).where(soon, W.c.due_at <= self._now, free).limit(MOST_DUE).subquery()
        )
        query = select(due.c.kind, due.c.lane, func.count(), func.min(due.c.due_at)).group_by(due.c.kind, due.c.lane)
        rows = (await self._connection.execute(query)).all()
        return [DueWork(kind, lane, count, self._seconds_since(oldest)) for kind, lane, count, oldest in rows]

    async def objects(self, first: int = 0) -> CountedPart:
        """All objects that can be Ready, or a part of them; see `object_counts`."""
        await self._take_little()
        return await count_part(self._connection, first)

    async def expiring(self) -> Sequence[ExpiringBindings]:
        """Bindings whose credentials end soon, and that are not being rotated."""
        await self._take_little()
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

    async def _take_little(self) -> None:
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(_TAKES_LITTLE)

    def _seconds_since(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (self._now - utc(moment)).total_seconds())
