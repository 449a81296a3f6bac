"""What the garbage collector is to look at, as `owner_links` has noted it. A row stays until it has been dealt with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from chandlery.store.schema import GARBAGE as G
from chandlery.store.schema import OBJECTS
from chandlery.store.schema import OWNER_LINKS as L
from chandlery.store.sets_of_values import is_one_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_CLAIM = timedelta(seconds=30)
"""After which somebody else looks at what a process has taken upon itself and not dealt with."""

Link = tuple[str, str]
"""Uids of an owner and of what it owns."""
_UNLESS_THERE = {
    "postgresql": postgresql.insert(G).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(G).on_conflict_do_nothing(),
}


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """An object to look at; `marks` tells whether there was news since."""

    uid: str
    kind: str
    marks: int


class GarbageStore:
    """The list, as this transaction sees it."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._is_postgresql = connection.dialect.name == "postgresql"

    async def take(self, *, limit: int) -> Sequence[Suspect]:
        """Those that are due, longest first, for this process alone for a while."""
        due = select(G.c.uid).where(G.c.due_at <= self._now).order_by(G.c.due_at).limit(limit)
        if self._is_postgresql:
            due = due.with_for_update(skip_locked=True)
        statement = update(G).where(G.c.uid.in_(due)).values(due_at=self._now + _CLAIM)
        rows = (await self._connection.execute(statement.returning(G.c.uid, G.c.kind, G.c.marks))).mappings()
        return [Suspect(**row) for row in rows]

    async def settle(self, suspect: Suspect, *, again_after: timedelta | None) -> None:
        """It has been looked at; it comes back after the time, or at once if there was news meanwhile."""
        mine = (G.c.uid == suspect.uid) & (G.c.marks == suspect.marks)
        if again_after is None:
            await self._connection.execute(delete(G).where(mine))
        else:
            await self._connection.execute(update(G).where(mine).values(due_at=self._now + again_after))

    async def dependents(self, owner_uid: str, *, namespace: str | None, limit: int) -> Sequence[tuple[str, str]]:
        """Uid and kind of what the object owns and is not on its way out, at most so many.

        An object of a namespace owns nothing in others, whatever is written there: see `is_blocked`.
        """
        found: list[tuple[str, str]] = []
        for kind in await self._kinds_of(owner_uid):
            table = OBJECTS[kind]
            query = _in(namespace, _of(owner_uid, L.c.uid), kind).where(table.c.deleted_at.is_(None))
            query = query.limit(limit - len(found))
            found += [(uid, kind) for uid in (await self._connection.execute(query)).scalars()]
            if len(found) >= limit:
                break
        return found

    async def linked(self, owner_uid: str, *, limit: int) -> Sequence[tuple[str, str]]:
        """Uid and kind of all that names the object as an owner, at most so many."""
        rows = await self._connection.execute(_of(owner_uid, L.c.uid, L.c.kind).limit(limit))
        return [(uid, kind) for uid, kind in rows]

    async def is_blocked(self, owner_uid: str, *, namespace: str | None) -> bool:
        """Whether something is left whose owner may not go before it; no other namespace has a say in that."""
        for kind in await self._kinds_of(owner_uid):
            query = _in(namespace, _of(owner_uid, L.c.uid), kind).where(L.c.is_blocking).limit(1)
            if (await self._connection.execute(query)).first() is not None:
                return True
        return False

    async def _kinds_of(self, owner_uid: str) -> list[str]:
        found = (await self._connection.execute(_of(owner_uid, L.c.kind).distinct())).scalars().all()
        return sorted(set(found) & OBJECTS.keys())

    async def unlink(self, uid: str) -> None:
        """The object is gone: nobody owns it, whatever an older release has left."""
        await self._connection.execute(delete(L).where(L.c.uid == uid))

    async def find_lost(self, *, limit: int, after: Link | None = None) -> Link | None:
        """Among so many links behind this one, mark what has an owner that is not there and that nobody has noted.

        Returns the link from which to go on; None at the end.
        """
        some = select(L.c.owner_uid, L.c.uid, L.c.kind, L.c.owner_kind).order_by(L.c.owner_uid, L.c.uid).limit(limit)
        if after is not None:
            some = some.where(L.c.owner_uid >= after[0], tuple_(L.c.owner_uid, L.c.uid) > tuple_(*after))
        links = (await self._connection.execute(some)).all()
        owners: dict[str, set[str]] = {}
        for link in links:
            owners.setdefault(link.owner_kind, set()).add(link.owner_uid)
        # With its kind: what names an object as one of another kind has no owner.
        there = {(kind, uid) for kind, uids in owners.items() for uid in await self._existing(kind, uids)}
        lost = {
            link.uid: link.kind
            for link in links
            if (link.owner_kind, link.owner_uid) not in there and link.owner_kind in OBJECTS
        }
        if lost:
            rows = [{"uid": uid, "kind": kind, "due_at": self._now} for uid, kind in sorted(lost.items())]
            await self._connection.execute(_UNLESS_THERE[self._connection.dialect.name], rows)
        return (links[-1].owner_uid, links[-1].uid) if len(links) == limit else None

    async def _existing(self, kind: str, uids: Collection[str]) -> Collection[str]:
        if kind not in OBJECTS:
            return ()
        table = OBJECTS[kind]
        query = select(table.c.uid).where(is_one_of(self._connection, table.c.uid, uids))
        return (await self._connection.execute(query)).scalars().all()


def _of(owner_uid: str, *columns: Any) -> Any:
    return select(*columns).where(L.c.owner_uid == owner_uid)


def _in(namespace: str | None, query: Any, kind: str) -> Any:
    """The query, of the objects of a kind that are in the namespace; of all of them if the owner is in none."""
    table = OBJECTS[kind]
    query = query.join(table, table.c.uid == L.c.uid).where(L.c.kind == kind)
    return query.where(table.c.namespace == namespace) if namespace else query
