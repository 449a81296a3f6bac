"""The hold after a restore: no worker takes up an instance or a binding until an operator has said so.

A restored database is a memory of an older moment. What its rows say is to be done at service brokers may have been
done since, and what was done since it does not know. So nothing is claimed: no call, no poll, no Secret written again.
The mark is read by the claim's own statement, so that no process can be late to learn of it. What users ask for
meanwhile is stored, and waits. Catalogs are fetched as ever: that changes nothing at a broker.

Called by: `work_queue`, for the condition; `chandlery restore`, `migrate` and `reconcile`, which set and clear it.
"""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, or_, select, update

from chandlery.model.objects import kinds
from chandlery.store.schema import MARKS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.work.leases import read_mark, set_mark

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

HELD: Final = "held since restore"
"""The mark. Its value is the moment, in ISO 8601; empty or missing where nothing is held."""
HELD_KINDS: Final = (kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind)


PAGE: Final = 1_000
"""Rows that one transaction of a release changes."""


def may_be_claimed() -> Any:
    """The condition for a row of work: nothing is held, or it is of a kind that goes on."""
    held = exists(select(MARKS.c.name).where(MARKS.c.name == HELD, MARKS.c.value != ""))
    return or_(W.c.kind.not_in(HELD_KINDS), ~held)


class RestoredHold:
    """The hold, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", now: "datetime") -> None:
        self._connection = connection
        self._now = now

    async def since(self) -> str | None:
        """The moment of the restore, in ISO 8601; None if nothing is held."""
        return await read_mark(self._connection, HELD) or None

    async def begin(self) -> None:
        """Hold; an earlier moment stays."""
        if await self.since() is None:
            await set_mark(self._connection, HELD, self._now.isoformat(timespec="seconds"))

    async def end(self) -> None:
        """Let workers go on. Then `wake` what is due, page by page."""
        await set_mark(self._connection, HELD, "")

    async def wake(self, *, after: str = "", limit: int = PAGE) -> tuple[int, str | None]:
        """Have the next instances and bindings that are due looked at now; returns how many, and where to go on.

        Commands for what could not be claimed come ever more rarely: the next sweep sends all of them. In pages, so
        that no transaction keeps workers from a million rows.
        """
        due = W.c.kind.in_(HELD_KINDS) & (W.c.due_at <= self._now)
        page = select(W.c.uid).where(due, W.c.uid > after).order_by(W.c.uid).limit(limit)
        uids = (await self._connection.execute(page)).scalars().all()
        if not uids:
            return 0, None
        free = or_(W.c.lease_until.is_(None), W.c.lease_until < self._now)
        statement = update(W).where(due, free, W.c.uid > after, W.c.uid <= uids[-1]).values(enqueue_after=self._now)
        done = await self._connection.execute(statement)
        return done.rowcount, uids[-1] if len(uids) == limit else None
