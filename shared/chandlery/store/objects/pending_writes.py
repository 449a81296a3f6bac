"""Objects of one transaction that are written together at its end: as many statements for thirty of them as for two.

Comes in: rows to insert, columns to write over an object that must still be stored as it was read, objects to remove.
Goes out: one statement for the rows of a table that have the same columns, and before it one that locks what is written
over or removed and looks whether it is still the same. One alone is spared that: its own statement tells.
Called by: `ObjectStore`, which has noted each of them in the change log by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from chandlery.model.faults import AlreadyExists, Conflict, Fault, Forbidden
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.store.database_errors import FORBIDDEN, sqlstate
from chandlery.store.schema import EXTERNAL_IDS, OBJECTS
from chandlery.store.sets_of_values import is_one_of, is_one_of_given

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

STATUS: Final = "status"


class Overtaken(Conflict):
    """A transaction that began later has written the object first: watchers would see the two swapped."""


_HAVE_EXTERNAL_IDS: Final = (kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING)
_OF_UID: Final = "of_uid"
_OF_VERSION: Final = "of_version"
_WRITE_OVER: Final = {
    name: update(table).where(table.c.uid == bindparam(_OF_UID), table.c.resource_version == bindparam(_OF_VERSION))
    for name, table in OBJECTS.items()
}
_INSERT: Final = {name: insert(table) for name, table in OBJECTS.items()}

Columns = frozenset[str]


@dataclass
class _OfKind:
    """What waits of one kind."""

    inserts: dict[Columns, list[dict[str, Any]]] = field(default_factory=dict)
    updates: dict[Columns, list[dict[str, Any]]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    expected: list[tuple[AnyObject, int]] = field(default_factory=list)
    """What is written over or removed, and the version that it must have."""
    uids: set[str | None] = field(default_factory=set)
    """Of these."""

    def expect(self, document: AnyObject, before: int) -> None:
        """This object must still have this version."""
        self.expected.append((document, before))
        self.uids.add(document.metadata.uid)


class PendingWrites:
    """What one transaction has put off."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._kinds: dict[str, _OfKind] = {}
        self.has_failed = False
        """Whether something could not be written: then the whole transaction is in vain, whoever is told first."""

    def insert(self, kind: Kind, row: dict[str, Any]) -> None:
        """Create an object; a name that is taken fails the whole transaction."""
        self._of(kind).inserts.setdefault(frozenset(row), []).append(row)

    def update(self, document: AnyObject, before: int, values: Mapping[str, Any]) -> None:
        """Write these columns over the object, whose version must still be `before` then."""
        of_kind = self._of(kind_of(document))
        of_kind.updates.setdefault(frozenset(values), []).append(
            {_OF_UID: document.metadata.uid, _OF_VERSION: before, **values}
        )
        of_kind.expect(document, before)

    def remove(self, document: AnyObject, before: int) -> None:
        """Take the object away, whose version must still be `before` then."""
        of_kind = self._of(kind_of(document))
        of_kind.removed.append(document.metadata.uid or "")
        of_kind.expect(document, before)

    def is_expected(self, document: AnyObject) -> bool:
        """Whether this object is to be written over or removed."""
        waiting = self._kinds.get(document.kind)
        return waiting is not None and document.metadata.uid in waiting.uids

    def are_of(self, kind: Kind) -> bool:
        """Whether a reader of this kind would see what is not so any more."""
        return kind.kind in self._kinds and bool(self._kinds[kind.kind].expected)

    async def flush(self) -> None:
        """Write all of it. Raises AlreadyExists, Conflict, Forbidden."""
        for name in sorted(self._kinds):
            await self.flush_kind(kinds.KINDS[name])

    async def flush_kind(self, kind: Kind) -> None:
        """Write what there is of a kind."""
        waiting = self._kinds.pop(kind.kind, None)
        if waiting is None:
            return
        try:
            await self._write(kind, waiting)
        except Fault:
            self.has_failed = True
            raise

    async def _write(self, kind: Kind, waiting: _OfKind) -> None:
        if len(waiting.expected) > 1:
            await self._refuse_outdated(kind, waiting.expected)
        for columns, rows in waiting.updates.items():
            await self._write_over(kind, columns, rows, waiting.expected[0][0])
        if waiting.removed:
            await self._remove(kind, waiting.removed, waiting.expected)
        for rows in waiting.inserts.values():
            try:
                await self._connection.execute(_INSERT[kind.kind], rows)
            except IntegrityError as error:
                raise AlreadyExists from error

    async def _refuse_outdated(self, kind: Kind, expected: Sequence[tuple[AnyObject, int]]) -> None:
        """Lock what is to be written over, in one order, and look whether it is still as it was read."""
        uids = [document.metadata.uid or "" for document, _ in expected]
        query = _versions(kind.kind, is_postgresql=self._connection.dialect.name == "postgresql")
        found = await self._connection.execute(query, {"uids": uids})
        stored: dict[str | None, int] = {row.uid: row.resource_version for row in found}
        for document, before in expected:
            if stored.get(document.metadata.uid) != before:
                raise conflict(kind, document)

    async def _write_over(
        self, kind: Kind, columns: Columns, rows: Sequence[Mapping[str, Any]], first: AnyObject
    ) -> None:
        try:
            written = await self._connection.execute(_WRITE_OVER[kind.kind], rows if len(rows) > 1 else rows[0])
        except DBAPIError as error:
            if STATUS in columns and sqlstate(error) == FORBIDDEN:
                raise not_ours(kind, first) from error
            raise
        if len(rows) == 1 and not written.rowcount:
            raise conflict(kind, first)

    async def _remove(self, kind: Kind, uids: Sequence[str], expected: Sequence[tuple[AnyObject, int]]) -> None:
        table = OBJECTS[kind.kind]
        gone = delete(table).where(is_one_of(self._connection, table.c.uid, uids))
        if len(expected) == 1:
            gone = gone.where(table.c.resource_version == expected[0][1])
        if (await self._connection.execute(gone)).rowcount < len(uids):
            raise conflict(kind, expected[0][0])
        if kind in _HAVE_EXTERNAL_IDS:
            theirs = is_one_of(self._connection, EXTERNAL_IDS.c.uid, uids)
            await self._connection.execute(delete(EXTERNAL_IDS).where(theirs))

    def _of(self, kind: Kind) -> _OfKind:
        return self._kinds.setdefault(kind.kind, _OfKind())


@cache
def _versions(kind: str, *, is_postgresql: bool) -> "Select[Any]":
    table = OBJECTS[kind]
    query = select(table.c.uid, table.c.resource_version)
    query = query.where(is_one_of_given(table.c.uid, "uids", is_postgresql=is_postgresql))
    return query.order_by(table.c.uid).with_for_update(key_share=True) if is_postgresql else query


def not_ours(kind: Kind, document: AnyObject) -> Forbidden:
    """The database role may not write a status."""
    return Forbidden(
        f'{kind.qualified_plural} "{document.metadata.name}" is forbidden: the status is written by Chandlery '
        'alone; the database role of this process may not write it (docs/operations.md, "Roles and grants")'
    )


def conflict(kind: Kind, document: AnyObject) -> Conflict:
    """Somebody else has written the object since it was read."""
    return Conflict(outdated(kind, document))


def outdated(kind: Kind, document: AnyObject) -> str:
    """What a client is told of it, in Kubernetes' words."""
    return (
        f'Operation cannot be fulfilled on {kind.qualified_plural} "{document.metadata.name}": '
        "the object has been modified; please apply your changes to the latest version and try again"
    )
