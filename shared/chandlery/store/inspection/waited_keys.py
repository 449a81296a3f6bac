"""Wake-up keys that objects wait for or follow, and the namespaces in them: what is worth being followed elsewhere.

Called by: `engine/following`, for Secrets of a cluster.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, union

from chandlery.store.schema import INTERESTS
from chandlery.store.schema import WORK_QUEUE as W

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class WaitedKeys:
    """Of the form `<prefix><namespace>/<name>`, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def page(self, prefix: str, *, after: str = "", limit: int) -> Sequence[str]:
        """Keys that begin so, in an order of the database's own, behind `after`."""
        keys = _keys(prefix).subquery()
        query = select(keys.c.key).where(keys.c.key > after).order_by(keys.c.key).limit(limit)
        return (await self._connection.execute(query)).scalars().all()

    async def namespaces(self, prefix: str, *, limit: int) -> Sequence[str]:
        """The namespaces in them, each once, in order."""
        keys = _keys(prefix).subquery()
        rest = func.substr(keys.c.key, len(prefix) + 1)
        is_postgresql = self._connection.dialect.name == "postgresql"
        namespace: Any = (
            func.split_part(rest, "/", 1) if is_postgresql else func.substr(rest, 1, func.instr(rest, "/") - 1)
        )
        query = select(namespace.label("namespace")).distinct().order_by("namespace").limit(limit)
        return [each for each in (await self._connection.execute(query)).scalars() if each]


def _keys(prefix: str) -> Any:
    waiting = select(W.c.waiting_for.label("key")).where(W.c.waiting_for.startswith(prefix, autoescape=True))
    followed = select(INTERESTS.c.key).where(INTERESTS.c.key.startswith(prefix, autoescape=True))
    return union(waiting, followed)
