"""Reads and writes objects of every kind inside one transaction.

Comes in: whole objects; to insert, to update with the object as it was read, which must still be stored so, and to
remove: each alone, or with others at the end (`pending_writes`); to insert many at once.
Goes out: objects as they are stored, with the resource version that the write has got. A write that comes too late
raises Conflict or AlreadyExists.
Called by: whoever has a `UnitOfWork`.

Each write is noted three times, by nobody but this module: in the change log, for watches; with the owner links, for
the garbage collector; and with the transaction's wake-ups (`wake_ups`), for those who wait for the object. Secrets are
sealed on their way in and opened on their way out (`rows`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.model.objects.wire import JsonObject
from chandlery.store.breaths import Breaths
from chandlery.store.database_errors import FORBIDDEN, sqlstate
from chandlery.store.objects.changes import ChangeLog, ChangeVerb, LoggedChange
from chandlery.store.objects.object_reads import ObjectReads
from chandlery.store.objects.owner_links import OwnerLinks
from chandlery.store.objects.pending_writes import STATUS, Overtaken, PendingWrites, conflict, not_ours, outdated
from chandlery.store.rows import RowCodec
from chandlery.store.schema import OBJECTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Written = Callable[[AnyObject | None, AnyObject | None], None]
"""Told of each object as it was and as it is: None before it came, None after it has gone."""

_NAMES_PER_STATEMENT = 5_000


class _Change(NamedTuple):
    """An object that is written over."""

    before: AnyObject
    after: AnyObject
    version_before: int
    position: int
    stored: JsonObject
    values: dict[str, Any]
    """The columns that differ."""


class ObjectStore(ObjectReads):
    """The objects, as this transaction sees them."""

    def __init__(
        self,
        connection: "AsyncConnection",
        log: ChangeLog,
        codec: RowCodec,
        now: datetime,
        *,
        written: Written,
        links: OwnerLinks,
    ) -> None:
        """`written` is told of all that is written, for whom that wakes; `links` of what owns it and what it owns."""
        super().__init__(connection, codec, pending=PendingWrites(connection))
        self._log = log
        self._written = written
        self._now = now
        self._links = links

    async def insert(self, document: AnyObject) -> AnyObject:
        """Create the object as it stands, with its uid and creation time set by the caller. Raises AlreadyExists."""
        kind = kind_of(document)
        created, stored, row = await self._new(document)
        try:
            await self._connection.execute(insert(OBJECTS[kind.kind]).values(row))
        except IntegrityError as error:
            raise AlreadyExists(f'{kind.qualified_plural} "{document.metadata.name}" already exists') from error
        self._note_inserted(created, stored)
        return created

    async def insert_later(self, document: AnyObject) -> AnyObject:
        """`insert`, together with others when the transaction ends; a name that is taken fails all of them then."""
        created, stored, row = await self._new(document)
        self._pending.insert(kind_of(document), row)
        self._note_inserted(created, stored)
        self._keep_own(created, created)
        return created

    @property
    def has_failed(self) -> bool:
        """Whether something that was put off could not be written, whoever came upon it."""
        return self._pending.has_failed

    async def flush(self) -> None:
        """Write what was put off. Raises AlreadyExists, Conflict, Forbidden."""
        await self._pending.flush()

    async def insert_many(self, documents: Sequence[AnyObject]) -> Sequence[AnyObject]:
        """Create all of the objects in a few statements, or none if some of their names are taken.

        Returns the stored objects that have the names; empty when all was created. Raises Conflict if somebody takes
        one of the names at the same moment.
        """
        groups: dict[tuple[str, str], list[AnyObject]] = {}
        for document in documents:
            groups.setdefault((document.kind, document.metadata.namespace or ""), []).append(document)
        taken: list[AnyObject] = []
        for (_, namespace), group in groups.items():
            kind = kind_of(group[0])
            table = OBJECTS[kind.kind]
            for start in range(0, len(group), _NAMES_PER_STATEMENT):
                names = [document.metadata.name for document in group[start : start + _NAMES_PER_STATEMENT]]
                query = select(table).where(table.c.namespace == namespace, table.c.name.in_(names))
                taken += await self._all(kind, query)
        if taken:
            return taken
        for group in groups.values():
            kind, breaths = kind_of(group[0]), Breaths()
            created = []
            for document in group:
                position = await self._log.next_position()
                placed = _at_position(document, position)
                stored = self._codec.to_stored(placed)
                created.append(self._codec.to_row(placed, stored) | {"resource_version": position})
                self._note(position, placed, ChangeVerb.ADDED, stored)
                self._written(None, placed)
                self._links.inserted(placed)
                await breaths.take()
            try:
                await self._connection.execute(insert(OBJECTS[kind.kind]), created)
            except IntegrityError as error:
                raise Conflict(f"some {kind.qualified_plural} were created at the same moment") from error
        return []

    async def update(self, old: AnyObject, new: AnyObject) -> AnyObject:
        """Write `new` over `old`, which must still be stored so; raises Conflict. Equal objects are not written."""
        if old == new:
            return old
        change = await self._change(old, new)
        await self._write_if_latest(change)
        return self._note_updated(change)

    async def update_later(self, old: AnyObject, new: AnyObject) -> AnyObject:
        """`update`, together with others when the transaction ends, or before the next look at objects of the kind.

        Raises Overtaken, before anything is done, if it cannot be written in this transaction, but in another one.
        """
        if old == new:
            return old
        await self._write_first(old)
        change = await self._change(old, new)
        self._pending.update(change.after, change.version_before, change.values)
        self._keep_own(change.after, change.after)
        return self._note_updated(change)

    async def remove(self, document: AnyObject) -> AnyObject:
        """Take the object away; raises Conflict if it is no longer what is stored."""
        removed = await self.remove_later(document)
        await self._pending.flush_kind(kind_of(document))
        return removed

    async def remove_later(self, document: AnyObject) -> AnyObject:
        """`remove`, together with others as `update_later` writes them. Raises Overtaken."""
        kind = kind_of(document)
        await self._write_first(document)
        position = await self._log.next_position()
        before = int(document.metadata.resource_version or 0)
        _refuse_older(kind, document, before, position)
        self._pending.remove(document, before)
        self._links.removed(document)
        removed = _at_position(document, position)
        self._note(position, removed, ChangeVerb.DELETED, self._codec.to_stored(removed), before)
        self._written(removed, None)
        self._keep_own(removed, None)
        return removed

    async def _write_first(self, document: AnyObject) -> None:
        """What is put off of the same object: one statement cannot write it twice."""
        if self._pending.is_expected(document):
            await self._pending.flush_kind(kind_of(document))

    async def _change(self, old: AnyObject, new: AnyObject) -> "_Change":
        kind, new = kind_of(new), self._codec.as_sealed_before(old, new)
        position = await self._log.next_position()
        before = int(old.metadata.resource_version or 0)
        _refuse_older(kind, old, before, position)
        after, breaths = _at_position(new, position), Breaths()
        stored = self._codec.to_stored(after)
        await breaths.take()
        row = self._codec.to_row(after, stored)
        await breaths.take()
        different = self._codec.changed_columns(old, after, row)
        await breaths.take()
        return _Change(old, after, before, position, stored, {**different, "resource_version": position})

    async def _write_if_latest(self, change: "_Change") -> None:
        kind, uid = kind_of(change.after), change.after.metadata.uid
        table = OBJECTS[kind.kind]
        statement = update(table).where(table.c.uid == uid, table.c.resource_version == change.version_before)
        try:
            written = await self._connection.execute(statement.values(change.values))
        except DBAPIError as error:
            if STATUS in change.values and sqlstate(error) == FORBIDDEN:
                raise not_ours(kind, change.before) from error
            raise
        if not written.rowcount:
            raise conflict(kind, change.before)

    def _note_updated(self, change: "_Change") -> AnyObject:
        self._note(change.position, change.after, ChangeVerb.MODIFIED, change.stored, change.version_before)
        self._written(change.before, change.after)
        self._links.updated(change.before, change.after)
        self._keep_found(change.after, change.after)
        return change.after

    async def _new(self, document: AnyObject) -> tuple[AnyObject, JsonObject, dict[str, Any]]:
        """As it is created, as the change log has it, and its row."""
        position = await self._log.next_position()
        created = _at_position(document, position)
        stored = self._codec.to_stored(created)
        return created, stored, self._new_row(created, stored, position)

    def _note_inserted(self, created: AnyObject, stored: JsonObject) -> None:
        self._note(int(created.metadata.resource_version or 0), created, ChangeVerb.ADDED, stored)
        self._written(None, created)
        self._links.inserted(created)
        self._keep_found(created, created)

    def _new_row(self, document: AnyObject, stored: JsonObject, position: int) -> dict[str, Any]:
        """Without a status that says nothing yet: the gateway's database role may not write any."""
        row = self._codec.to_row(document, stored) | {"resource_version": position}
        if getattr(document, STATUS, None) == _empty_status(kind_of(document)):
            del row[STATUS]
        return row

    def _note(
        self, position: int, document: AnyObject, verb: ChangeVerb, stored: JsonObject, before: int | None = None
    ) -> None:
        meta = document.metadata
        self._log.append(LoggedChange(position, document.kind, meta.namespace or "", meta.name, verb, stored, before))


def _at_position(document: AnyObject, position: int) -> AnyObject:
    metadata = document.metadata.model_copy(update={"resource_version": str(position)})
    return document.model_copy(update={"metadata": metadata})


def _refuse_older(kind: Kind, document: AnyObject, before: int, position: int) -> None:
    if position <= before:
        raise Overtaken(outdated(kind, document))


def _empty_status(kind: Kind) -> Any:
    return kind.model.model_fields[STATUS].default if kind.has_status else None
