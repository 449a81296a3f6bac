"""Who owns what. Follows every write of objects, and notes for the garbage collector what that may have left behind.

Whoever removes an owner finds what depended on it. Whoever writes a dependent makes sure of its owners, which keeps
them from being removed unnoticed at the same moment; one that cannot be found is for the collector to look at.

In a Kubernetes cluster its garbage collector does that, which knows owners of all kinds: nothing is noted here then,
for nobody would ever take it out again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import DELETION_POLICIES, OwnerReference
from chandlery.store.schema import GARBAGE as G
from chandlery.store.schema import OBJECTS
from chandlery.store.schema import OWNER_LINKS as L
from chandlery.store.sets_of_values import is_one_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_AT_ONCE = 5_000

Mark = tuple[str, str]
"""Uid and kind of an object that is to be looked at."""


class OwnerLinks:
    """The owners and dependents of what this transaction writes."""

    def __init__(self, connection: "AsyncConnection", now: datetime, *, is_collected_here: bool = True) -> None:
        """`is_collected_here` says whether the garbage collector is ours."""
        self._connection = connection
        self._is_collected_here = is_collected_here
        self._now = now
        self._fresh: dict[str, AnyObject] = {}
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        self._owners_to_tell: set[str] = set()
        self._marks: dict[str, str] = {}

    def inserted(self, document: AnyObject) -> None:
        """A new object has been written."""
        if self._is_collected_here and document.metadata.owner_references and document.kind != kinds.EVENT.kind:
            self._fresh[document.metadata.uid or ""] = document

    def updated(self, old: AnyObject, new: AnyObject) -> None:
        """An object has been written over."""
        if not self._is_collected_here:
            return
        before, after, uid = old.metadata, new.metadata, new.metadata.uid or ""
        if before.owner_references != after.owner_references and new.kind != kinds.EVENT.kind:
            self._fresh[uid] = new
            self._changed.add(uid)
            self._marks[uid] = new.kind
            self._owners_to_tell |= {owner.uid for owner in before.owner_references or ()}
        if after.deletion_timestamp is not None and DELETION_POLICIES & set(after.finalizers or ()):
            self._marks[uid] = new.kind

    def removed(self, document: AnyObject) -> None:
        """An object has been taken away."""
        if not self._is_collected_here:
            return
        uid = document.metadata.uid or ""
        self._removed.add(uid)
        self._fresh.pop(uid, None)
        if document.metadata.owner_references:
            self._changed.add(uid)
            self._owners_to_tell |= {owner.uid for owner in document.metadata.owner_references}

    async def flush(self) -> str | None:
        """Write the links and the marks; returns a uid if there is something for the collector now."""
        if not (self._fresh or self._changed or self._removed or self._marks):
            return None
        await self._write_links()
        await self._find_owners()
        marked = next(iter(self._marks), None)
        await self._mark(sorted(self._marks.items()))
        told = await self._mark_dependents() + await self._tell_owners()
        marked = marked or (next(iter(self._removed), None) if told else None)
        for noted in (self._fresh, self._changed, self._removed, self._owners_to_tell, self._marks):
            noted.clear()
        return marked

    async def _write_links(self) -> None:
        if self._changed:
            await self._connection.execute(delete(L).where(is_one_of(self._connection, L.c.uid, self._changed)))
        rows: dict[Mark, dict[str, Any]] = {}
        for uid, document in self._fresh.items():
            for owner in filter(_is_served, document.metadata.owner_references or ()):
                link = {"owner_uid": owner.uid, "uid": uid, "kind": document.kind, "owner_kind": owner.kind}
                rows[owner.uid, uid] = link | {"is_blocking": bool(owner.block_owner_deletion)}
        if rows:
            await self._connection.execute(insert(L), list(rows.values()))

    async def _find_owners(self) -> None:
        """Mark new dependents unless their owners are there, as they are named, and stay until we have committed."""
        wanted: dict[str, set[str]] = {}
        for document in self._fresh.values():
            for owner in document.metadata.owner_references or ():
                wanted.setdefault(owner.kind, set()).add(owner.uid)
        there = {place for kind in sorted(wanted) for place in await self._existing(kind, sorted(wanted[kind]))}
        for uid, document in self._fresh.items():
            owners = document.metadata.owner_references or ()
            own = document.metadata.namespace or ""
            named = [(owner.kind, owner.uid, owner.name) for owner in owners]
            if any({(*each, ""), (*each, own)}.isdisjoint(there) for each in named):
                self._marks[uid] = document.kind

    async def _existing(self, kind: str, uids: list[str]) -> list[tuple[str, str, str, str]]:
        """Kind, uid, name and namespace."""
        if kind not in OBJECTS:
            return []
        table = OBJECTS[kind]
        query = select(table.c.uid, table.c.name, table.c.namespace).where(
            is_one_of(self._connection, table.c.uid, uids[:_AT_ONCE]), table.c.deleted_at.is_(None)
        )
        if self._connection.dialect.name == "postgresql":
            # Who removes one of them waits for us, and then sees its dependents.
            query = query.order_by(table.c.uid).with_for_update(read=True, key_share=True)
        return [(kind, uid, name, namespace) for uid, name, namespace in await self._connection.execute(query)]

    async def _mark(self, marks: Iterable[Mark]) -> None:
        rows = [{"uid": uid, "kind": kind, "due_at": self._now} for uid, kind in marks if uid not in self._removed]
        if rows:
            await self._connection.execute(self._upsert(), rows)

    async def _mark_dependents(self) -> int:
        if not self._removed:
            return 0
        left = (
            select(L.c.uid, L.c.kind, literal(self._now, G.c.due_at.type))
            .where(is_one_of(self._connection, L.c.owner_uid, self._removed))
            .distinct()
        )
        return (await self._connection.execute(self._upsert(left))).rowcount

    async def _tell_owners(self) -> int:
        # Only those that wait for their dependents have a row.
        if not self._owners_to_tell:
            return 0
        waiting = update(G).where(is_one_of(self._connection, G.c.uid, self._owners_to_tell))
        return (await self._connection.execute(waiting.values(due_at=self._now, marks=G.c.marks + 1))).rowcount

    def _upsert(self, source: Any = None) -> Any:
        statement = _INSERT[self._connection.dialect.name](G)
        if source is not None:
            statement = statement.from_select(["uid", "kind", "due_at"], source)
        again = {"due_at": statement.excluded.due_at, "marks": G.c.marks + 1}
        return statement.on_conflict_do_update(index_elements=["uid"], set_=again)


def _is_served(owner: OwnerReference) -> bool:
    # Of a kind that is not served here nothing is ever removed: a link would only hold up whatever has the same uid.
    kind = kinds.KINDS.get(owner.kind)
    return kind is not None and kind.api_version == owner.api_version
