"""Operations of the history whose end nobody will see: their object has gone, or its row of work knows no more of them.

Rounds end what they have begun. What is left is closed where an object's row of work goes (`forsake`), which costs a
statement only if something was open, and for all else by a walk through the history, a few rows a minute (`walk`).
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, update

from chandlery.model.history.recorded_operations import OperationName, OperationOutcome
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.history.open_operations import read_open
from chandlery.store.breaths import Breaths
from chandlery.store.history.stored_operations import name_of
from chandlery.store.schema import OPERATIONS
from chandlery.store.schema import WORK_QUEUE as W

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_C = OPERATIONS.c
_KNOWN: Final = tuple(OperationName)
"""A later release may have others, and says itself which of them are open."""
_IS_OPEN: Final = (_C.outcome == OperationOutcome.IN_PROGRESS) & _C.operation.in_(_KNOWN)


class ForsakenOperations:
    """Closes them, in this transaction."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._names: set[str] = set()

    def forsake(self, uid: str, open_operations: Sequence[JsonObject]) -> None:
        """The object's row of work goes with these in it. They are closed when the transaction ends."""
        self._names.update(_names(uid, open_operations))

    async def flush(self) -> None:
        """Close what `forsake` was given, but for what has been told to have ended."""
        if self._names:
            names = sorted(self._names)
            self._names.clear()
            await self._close(names)

    async def walk(self, after: str, *, limit: int) -> str:
        """Close what is forsaken among so many operations behind this name. Returns from where to go on, "" at the end.

        While a round has its lease it may be about to tell: it is passed over.
        """
        some = select(_C.name).where(_C.name > after).order_by(_C.name).limit(limit).subquery()
        reached = select(func.max(some.c.name), func.count()).select_from(some)
        last, number = (await self._connection.execute(reached)).one()
        if last is None:
            return ""
        is_free = or_(W.c.uid.is_(None), W.c.lease_until.is_(None), W.c.lease_until < self._now)
        query = (
            select(_C.name, _C.object_uid, W.c.open_operations)
            .select_from(OPERATIONS.outerjoin(W, W.c.uid == _C.object_uid))
            .where(_C.name > after, _C.name <= last, _IS_OPEN, is_free)
        )
        rows = (await self._connection.execute(query)).all()
        if forsaken := [name async for name in _forsaken(rows)]:
            await self._close(forsaken)
        return str(last) if number == limit else ""

    async def _close(self, names: Sequence[str]) -> None:
        closed = update(OPERATIONS).where(_C.name.in_(names), _C.outcome == OperationOutcome.IN_PROGRESS)
        await self._connection.execute(closed.values(outcome=str(OperationOutcome.UNKNOWN), ended_at=self._now))


async def _forsaken(rows: Iterable[Any]) -> AsyncIterator[str]:
    breaths = Breaths()
    for row in rows:
        await breaths.take()
        if row.name not in set(_names(row.object_uid, row.open_operations or ())):
            yield row.name


def _names(uid: str, open_operations: Sequence[JsonObject]) -> Iterator[str]:
    for each in read_open(open_operations):
        yield name_of(uid, each.key, started_at=datetime.fromtimestamp(each.started_at, UTC))
