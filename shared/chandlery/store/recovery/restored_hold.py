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

    async def end(self) -> int:
        """Let workers go on; returns how many instances and bindings are due and are looked at now."""
        await set_mark(self._connection, HELD, "")
        due = (W.c.kind.in_(HELD_KINDS)) & (W.c.due_at <= self._now)
        # Commands for what could not be claimed come ever more rarely: the next sweep sends all of them.
        done = await self._connection.execute(update(W).where(due).values(enqueue_after=self._now))
        return done.rowcount
