"""Rows that belong to objects which are gone. Whoever removes an object takes away what hangs on it, but not all of it.

What an object was interested in is left to this, and so is what an older release leaves behind. A step looks at so many
rows, wherever the step before has ended, and asks for the object of each by its uid.
"""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, tuple_

from chandlery.store.pruning.steps import Place, Step, last_place, remove_found
from chandlery.store.schema import EXTERNAL_IDS, INTERESTS
from chandlery.store.schema import WORK_QUEUE as W

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

_INTERESTS: Final = (INTERESTS.c.key, INTERESTS.c.uid)
_EXTERNAL_IDS: Final = (EXTERNAL_IDS.c.uid, EXTERNAL_IDS.c.lane, EXTERNAL_IDS.c.kind, EXTERNAL_IDS.c.external_id)


class Orphans:
    """Them, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def forget_interests(self, *, limit: int, after: Place | None = None) -> Step:
        """Take away what objects that are gone wanted to be woken by."""
        return await self._forget(INTERESTS, _INTERESTS, limit, after)

    async def forget_external_ids(self, *, limit: int, after: Place | None = None) -> Step:
        """Let go of the ids of objects that are gone and were removed by an older release."""
        return await self._forget(EXTERNAL_IDS, _EXTERNAL_IDS, limit, after)

    async def _forget(self, table: "Table", order: tuple[Any, ...], limit: int, after: Place | None) -> Step:
        some = select(*order).order_by(*order)
        if after is not None:
            some = some.where(order[0] >= after[0], tuple_(*order) > tuple_(*after))
        reached = await last_place(self._connection, some, limit=limit)
        looked_at = some.limit(limit).subquery()
        # Not as EXISTS: PostgreSQL would compare whole tables, and with NOT IN each row with all rows.
        owner = select(W.c.uid).where(W.c.uid == looked_at.c.uid).scalar_subquery()
        orphaned = select(looked_at.c.uid).where(owner.is_(None))
        return Step(await remove_found(self._connection, table.c.uid, orphaned), reached)
