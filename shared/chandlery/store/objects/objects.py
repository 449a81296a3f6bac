"""Reads and writes objects of every kind inside one transaction.

Comes in: whole objects; to insert, alone, with others at the end, or many at once; to update, with the object as it was
read, which must still be stored so; to remove.
Goes out: objects as they are stored, with the resource version that the write has got. A write that comes too late
raises Conflict or AlreadyExists.
Called by: whoever has a `UnitOfWork`.

Each write is noted three times, by nobody but this module: in the change log, for watches; with the owner links, for
the garbage collector; and with the transaction's wake-ups (`wake_ups`), for those who wait for the object. Secrets are
sealed on their way in and opened on their way out (`rows`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, tuple_, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError

from chandlery.model.faults import AlreadyExists, Conflict, Forbidden
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery.model.objects.metadata import to_timestamp
from chandlery.model.objects.wire import JsonObject
from chandlery.store.database_errors import FORBIDDEN, sqlstate
from chandlery.store.objects.changes import ChangeLog, ChangeVerb, LoggedChange
from chandlery.store.objects.owner_links import OwnerLinks
from chandlery.store.rows import Breaths, RowCodec
from chandlery.store.schema import EXTERNAL_IDS, OBJECTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

Written = Callable[[AnyObject | None, AnyObject | None], None]
"""Told of each object as it was and as it is: None before it came, None after it has gone."""

_NAMES_PER_STATEMENT = 5_000
_STATUS = "status"
_HAVE_EXTERNAL_IDS = (kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Which objects to list. `where` speaks of columns: `name` and the lookups of `schema.LOOKUPS`."""

    namespace: str | None = None
    """None lists all namespaces."""
    where: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    """Labels that must be equal; other label requirements are for the caller to check."""
    after: tuple[str, str] | None = None
    """Namespace and name of the last object of the page before."""
    limit: int | None = None


class ObjectStore:
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
        self._connection = connection
        self._log = log
        self._written = written
        self._codec = codec
        self._now = now
        self._links = links
        self._seen: dict[tuple[object, ...], Sequence[AnyObject]] = {}
        self._later: dict[tuple[str, bool], list[dict[str, Any]]] = {}

    async def get(self, kind: Kind, namespace: str, name: str, *, lock: bool = False) -> AnyObject | None:
        """One object by name. `lock` keeps others from changing it until the transaction ends."""
        table = OBJECTS[kind.kind]
        return await self._one(kind, select(table).where(table.c.namespace == namespace, table.c.name == name), lock)

    async def list_cached(self, kind: Kind, listing: Listing) -> Sequence[AnyObject]:
        """A listing that is read once for the whole transaction: for what many rounds of one batch have in common."""
        key = (kind.kind, listing)
        if key not in self._seen:
            self._seen[key] = await self.list(kind, listing)
        return self._seen[key]

    def forget(self) -> None:
        """Let `list_cached` read anew."""
        self._seen.clear()

    async def get_many(self, kind: Kind, uids: Sequence[str]) -> dict[str, AnyObject]:
        """Objects by their uids; those that are gone are left out."""
        table = OBJECTS[kind.kind]
        found = await self._all(kind, select(table).where(table.c.uid.in_(uids)))
        return {document.metadata.uid or "": document for document in found}

    async def get_by_uid(self, kind: Kind, uid: str, *, lock: bool = False) -> AnyObject | None:
        """One object by uid."""
        table = OBJECTS[kind.kind]
        return await self._one(kind, select(table).where(table.c.uid == uid), lock)

    async def list(self, kind: Kind, listing: Listing) -> Sequence[AnyObject]:
        """Objects in the order of namespace and name."""
        table = OBJECTS[kind.kind]
        query = select(table).where(*_conditions(kind, listing, self._connection.dialect.name))
        query = query.order_by(table.c.namespace, table.c.name)
        if listing.limit is not None:
            query = query.limit(listing.limit)
        return await self._all(kind, query)

    async def uid_of(self, kind: Kind, namespace: str, name: str) -> str | None:
        """The uid of the object of this name, without reading the object."""
        table = OBJECTS[kind.kind]
        query = select(table.c.uid).where(table.c.namespace == namespace, table.c.name == name)
        uid: str | None = (await self._connection.execute(query)).scalar()
        return uid

    async def count(self, kind: Kind, listing: Listing) -> int:
        """How many objects a listing has, regardless of its limit."""
        query = select(func.count()).select_from(OBJECTS[kind.kind])
        query = query.where(*_conditions(kind, listing, self._connection.dialect.name))
        return int((await self._connection.execute(query)).scalar_one())

    async def names(self, kind: Kind, *, namespace: str, limit: int) -> Sequence[str]:
        """Names of the objects in a namespace, at most so many."""
        table = OBJECTS[kind.kind]
        query = select(table.c.name).where(table.c.namespace == namespace).order_by(table.c.name).limit(limit)
        return (await self._connection.execute(query)).scalars().all()

    async def offered(self, kind: Kind, column: str, *, namespace: str, limit: int) -> Sequence[str]:
        """What the classes or plans of a namespace that are still offered are called, at most so many."""
        table = OBJECTS[kind.kind]
        is_removed = func.coalesce(table.c.status["removedFromBrokerCatalog"].as_boolean(), False)
        query = select(table.c[column]).where(table.c.namespace == namespace, ~is_removed)
        return (await self._connection.execute(query.order_by(table.c[column]).limit(limit))).scalars().all()

    async def called_by_broker(self, kind: Kind, broker_name: str, *, namespace: str) -> set[str]:
        """What users may call the classes of a broker by other names than their objects': names and ids of its own."""
        table = OBJECTS[kind.kind]
        query = select(table.c.external_name, table.c.external_id)
        query = query.where(table.c.namespace == namespace, table.c.broker_name == broker_name)
        return {word for row in await self._connection.execute(query) for word in row if word}

    async def uids_where(
        self, kind: Kind, column: str, values: Sequence[str], *, namespace: str | None
    ) -> Sequence[str]:
        """The uids of all objects whose column has one of the values; a namespace of None means all of them."""
        table = OBJECTS[kind.kind]
        found: list[str] = []
        for start in range(0, len(values), _NAMES_PER_STATEMENT):
            query = select(table.c.uid).where(table.c[column].in_(values[start : start + _NAMES_PER_STATEMENT]))
            if namespace is not None:
                query = query.where(table.c.namespace == namespace)
            found += (await self._connection.execute(query)).scalars()
        return found

    async def insert(self, document: AnyObject) -> AnyObject:
        """Create the object as it stands, with its uid and creation time set by the caller. Raises AlreadyExists."""
        kind = kind_of(document)
        position = await self._log.next_position()
        created = _at_position(document, position)
        stored = self._codec.to_stored(created)
        row = self._new_row(created, stored, position)
        try:
            await self._connection.execute(insert(OBJECTS[kind.kind]).values(row))
        except IntegrityError as error:
            raise AlreadyExists(f'{kind.qualified_plural} "{document.metadata.name}" already exists') from error
        self._note(position, created, ChangeVerb.ADDED, stored)
        self._written(None, created)
        self._links.inserted(created)
        return created

    async def insert_later(self, document: AnyObject) -> AnyObject:
        """`insert`, together with others when the transaction ends; a name that is taken fails all of them then."""
        kind = kind_of(document)
        position = await self._log.next_position()
        created = _at_position(document, position)
        stored = self._codec.to_stored(created)
        row = self._new_row(created, stored, position)
        # Rows of one statement have the same columns.
        self._later.setdefault((kind.kind, _STATUS in row), []).append(row)
        self._note(position, created, ChangeVerb.ADDED, stored)
        self._written(None, created)
        self._links.inserted(created)
        return created

    async def flush(self) -> None:
        """Write what `insert_later` was given; raises AlreadyExists."""
        for (name, _), rows in self._later.items():
            try:
                await self._connection.execute(insert(OBJECTS[name]), rows)
            except IntegrityError as error:
                raise AlreadyExists from error
        self._later.clear()

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
        kind, new = kind_of(new), self._codec.as_sealed_before(old, new)
        position = await self._log.next_position()
        before = int(old.metadata.resource_version or 0)
        changed, breaths = _at_position(new, position), Breaths()
        stored = self._codec.to_stored(changed)
        await breaths.take()
        row = self._codec.to_row(changed, stored)
        await breaths.take()
        different = self._codec.changed_columns(old, changed, row)
        await breaths.take()
        await self._write_if_latest(kind, old, before, position, {**different, "resource_version": position})
        self._note(position, changed, ChangeVerb.MODIFIED, stored, before)
        self._written(old, changed)
        self._links.updated(old, changed)
        return changed

    async def remove(self, document: AnyObject) -> AnyObject:
        """Take the object away; raises Conflict if it is no longer what is stored."""
        kind = kind_of(document)
        table = OBJECTS[kind.kind]
        position = await self._log.next_position()
        before = int(document.metadata.resource_version or 0)
        _refuse_older(kind, document, before, position)
        statement = delete(table).where(table.c.uid == document.metadata.uid, table.c.resource_version == before)
        if not (await self._connection.execute(statement)).rowcount:
            raise _conflict(kind, document)
        if kind in _HAVE_EXTERNAL_IDS:
            await self._connection.execute(delete(EXTERNAL_IDS).where(EXTERNAL_IDS.c.uid == document.metadata.uid))
        self._links.removed(document)
        removed = _at_position(document, position)
        self._note(position, removed, ChangeVerb.DELETED, self._codec.to_stored(removed), before)
        self._written(removed, None)
        return removed

    async def remove_older(self, kind: Kind, before: datetime, *, limit: int = 5_000) -> int:
        """Take away what was created before the moment, without a word in the change log: for recorded events.

        At most so many. Events that were counted again since stay. Returns how many went.
        """
        table = OBJECTS[kind.kind]
        old = select(table.c.uid).where(table.c.created_at < before)
        if kind is kinds.EVENT:
            last = table.c.spec["lastTimestamp"].as_string()
            old = old.where(func.coalesce(last, "") < to_timestamp(before))
        return (await self._connection.execute(delete(table).where(table.c.uid.in_(old.limit(limit))))).rowcount

    async def _one(self, kind: Kind, query: "Select[Any]", lock: bool) -> AnyObject | None:
        if lock and self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        breaths = Breaths()
        row = (await self._connection.execute(query)).mappings().first()
        if row is None:
            return None
        await breaths.take()
        document = self._codec.from_row(kind, dict(row))
        await breaths.take()
        return document

    async def _all(self, kind: Kind, query: "Select[Any]") -> Sequence[AnyObject]:
        breaths, found = Breaths(), []
        for row in (await self._connection.execute(query)).mappings():
            await breaths.take()
            found.append(self._codec.from_row(kind, dict(row)))
            await breaths.take()
        return found

    async def _write_if_latest(
        self, kind: Kind, document: AnyObject, before: int, position: int, values: dict[str, Any]
    ) -> None:
        _refuse_older(kind, document, before, position)
        table = OBJECTS[kind.kind]
        statement = update(table).where(table.c.uid == document.metadata.uid, table.c.resource_version == before)
        try:
            written = await self._connection.execute(statement.values(values))
        except DBAPIError as error:
            if _STATUS in values and sqlstate(error) == FORBIDDEN:
                raise _not_ours(kind, document) from error
            raise
        if not written.rowcount:
            raise _conflict(kind, document)

    def _new_row(self, document: AnyObject, stored: JsonObject, position: int) -> dict[str, Any]:
        """Without a status that says nothing yet: the gateway's database role may not write any."""
        row = self._codec.to_row(document, stored) | {"resource_version": position}
        if getattr(document, _STATUS, None) == _empty_status(kind_of(document)):
            del row[_STATUS]
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
    # This transaction took its number before the one that last wrote the object did: watchers would see them swapped.
    if position <= before:
        raise _conflict(kind, document)


def _empty_status(kind: Kind) -> Any:
    return kind.model.model_fields[_STATUS].default if kind.has_status else None


def _not_ours(kind: Kind, document: AnyObject) -> Forbidden:
    return Forbidden(
        f'{kind.qualified_plural} "{document.metadata.name}" is forbidden: the status is written by Chandlery '
        'alone; the database role of this process may not write it (docs/operations.md, "Roles and grants")'
    )


def _conflict(kind: Kind, document: AnyObject) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on {kind.qualified_plural} "{document.metadata.name}": '
        "the object has been modified; please apply your changes to the latest version and try again"
    )


def _conditions(kind: Kind, listing: Listing, dialect: str) -> "list[ColumnElement[bool]]":
    table = OBJECTS[kind.kind]
    conditions: list[ColumnElement[bool]] = [table.c[column] == value for column, value in listing.where]
    if listing.namespace is not None:
        conditions.append(table.c.namespace == listing.namespace)
    if listing.after is not None:
        conditions.append(tuple_(table.c.namespace, table.c.name) > tuple_(*listing.after))
    for key, value in listing.labels:
        if dialect == "postgresql":
            conditions.append(type_coerce(table.c.labels, JSONB).contains({key: value}))
        else:
            conditions.append(func.json_extract(table.c.labels, f'$."{key}"') == value)
    return conditions
