"""Looks at objects of every kind inside one transaction, each as it is now or once for all of it.

Comes in: names, uids and listings; sets of names that `get_cached` is about to be asked for (`prefetch`).
Goes out: objects, opened (`rows`). What the transaction has put off of a kind is written before anybody looks at others
of it, so that nobody sees what is not so any more.
Called by: whoever has a `UnitOfWork`, through `ObjectStore`, which writes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import bindparam, func, literal, select, tuple_, type_coerce
from sqlalchemy.dialects.postgresql import JSONB

from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.store.breaths import Breaths
from chandlery.store.objects.pending_writes import PendingWrites
from chandlery.store.rows import RowCodec
from chandlery.store.schema import OBJECTS
from chandlery.store.sets_of_values import given_pairs, is_one_of_given, is_one_of_given_pairs, is_one_of_pairs

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

_NAMES_PER_STATEMENT = 5_000

MadeT = TypeVar("MadeT")


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


class ObjectReads:
    """The objects, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection", codec: RowCodec, *, pending: PendingWrites) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._codec = codec
        self._pending = pending
        self._seen: dict[tuple[object, ...], Sequence[AnyObject]] = {}
        self._found: dict[tuple[str, str, str], AnyObject | None] = {}
        self._counts: dict[tuple[str, str, str, str], int] = {}
        self._own: dict[tuple[str, str, str], AnyObject | None] = {}
        """What this transaction has put off, as `get_cached` tells it: nobody else can have changed it since."""

    async def get(self, kind: Kind, namespace: str, name: str, *, lock: bool = False) -> AnyObject | None:
        """One object by name. `lock` keeps others from changing it until the transaction ends."""
        return await self._one(kind, _BY_NAME[kind.kind], lock, {"namespace": namespace, "name": name})

    async def prefetch(
        self, kind: Kind, places: Collection[tuple[str, str]], *, lock: bool = False
    ) -> Sequence[AnyObject]:
        """Read what `get_cached` is about to be asked for, by namespace and name; returns what there is.

        `lock` keeps others from changing it until the transaction ends.
        """
        unknown = {place for place in places if (kind.kind, *place) not in self._found}
        if unknown:
            for namespace, name in unknown:
                self._found[kind.kind, namespace, name] = None
            query = _by_names(kind.kind, lock=lock, is_postgresql=self._is_postgresql)
            for document in await self._all(kind, query, given_pairs(unknown, is_postgresql=self._is_postgresql)):
                self._found[_place(document)] = document
        return [found for place in places if (found := self._found[kind.kind, *place]) is not None]

    async def get_cached(self, kind: Kind, namespace: str, name: str) -> AnyObject | None:
        """One object by name, read once for the whole transaction: for what the rounds of a batch have in common."""
        place = (kind.kind, namespace, name)
        if place not in self._found:
            self._found[place] = await self.get(kind, namespace, name)
        return self._found[place]

    async def list_cached(self, kind: Kind, listing: Listing) -> Sequence[AnyObject]:
        """A listing that is read once for the whole transaction: for what many rounds of one batch have in common."""
        key = (kind.kind, listing)
        if key not in self._seen:
            self._seen[key] = await self.list(kind, listing)
        return self._seen[key]

    def forget(self) -> None:
        """Let what is kept for the whole transaction be read anew, but for what it has put off itself."""
        self._seen.clear()
        self._found = dict(self._own)
        self._counts.clear()

    async def get_many(self, kind: Kind, uids: Sequence[str]) -> dict[str, AnyObject]:
        """Objects by their uids; those that are gone are left out."""
        query = _of_uids(kind.kind, is_postgresql=self._connection.dialect.name == "postgresql")
        found = await self._all(kind, query, {"uids": list(uids)})
        return {document.metadata.uid or "": document for document in found}

    async def get_by_uid(self, kind: Kind, uid: str, *, lock: bool = False) -> AnyObject | None:
        """One object by uid."""
        table = OBJECTS[kind.kind]
        return await self._one(kind, select(table).where(table.c.uid == uid), lock)

    async def list(self, kind: Kind, listing: Listing) -> Sequence[AnyObject]:
        """Objects in the order of namespace and name."""
        return await self._all(kind, *self._listing(kind, listing))

    async def list_plain(self, kind: Kind, listing: Listing) -> Sequence[JsonObject]:
        """The same in wire form, for whoever only shows them (`RowCodec.plain_from_row`)."""
        return await self._each(kind, *self._listing(kind, listing), made=self._codec.plain_from_row)

    def _listing(self, kind: Kind, listing: Listing) -> "tuple[Select[Any], Mapping[str, Any]]":
        if listing.labels or listing.after:
            query = select(OBJECTS[kind.kind]).where(*_conditions(kind, listing, self._connection.dialect.name))
            return _ordered(query, kind.kind).limit(listing.limit), {}
        columns = tuple(column for column, _ in listing.where)
        query = _plain_listing(kind.kind, columns, of_namespace=listing.namespace is not None, limit=listing.limit)
        given = {f"of_{place}": value for place, (_, value) in enumerate(listing.where)}
        return query, given | {"of_namespace": listing.namespace}

    async def uids_of(self, kind: Kind, places: Collection[tuple[str, str]]) -> Sequence[str]:
        """The uids of the objects of these namespaces and names, without reading the objects."""
        await self._settle(kind)
        query = _uids_by_names(kind.kind, is_postgresql=self._is_postgresql)
        given = given_pairs(places, is_postgresql=self._is_postgresql)
        uids: Sequence[str] = (await self._connection.execute(query, given)).scalars().all()
        return uids

    async def count(self, kind: Kind, listing: Listing) -> int:
        """How many objects a listing has, at most as many as its limit."""
        await self._settle(kind)
        query = select(literal(1)).select_from(OBJECTS[kind.kind])
        query = query.where(*_conditions(kind, listing, self._connection.dialect.name))
        if listing.limit is not None:
            # In order, so that they are read from the index of the names.
            query = _ordered(query, kind.kind).limit(listing.limit)
        query = select(func.count()).select_from(query.subquery())
        return int((await self._connection.execute(query)).scalar_one())

    async def count_with_versions(self, kind: Kind, listing: Listing) -> tuple[int, int]:
        """`count`, and the sum of the versions: each write gives its object a larger one, and no two have the same."""
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        query = select(func.count(), func.coalesce(func.sum(table.c.resource_version), 0))
        query = query.where(*_conditions(kind, listing, self._connection.dialect.name))
        count, versions = (await self._connection.execute(query)).one()
        return int(count), int(versions)

    async def prefetch_counts(self, kind: Kind, column: str, places: Collection[tuple[str, str]]) -> None:
        """Count what `count_cached` is about to be asked for, by namespace and value of the column."""
        if not places:
            return
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        columns = (table.c.namespace, table.c[column])
        query = select(*columns, func.count()).where(is_one_of_pairs(self._connection, columns, places))
        for place in places:
            self._counts[kind.kind, column, *place] = 0
        for namespace, value, count in await self._connection.execute(query.group_by(*columns)):
            self._counts[kind.kind, column, namespace, value] = count

    async def count_cached(self, kind: Kind, column: str, namespace: str, value: str) -> int:
        """How many objects of a namespace have this value, counted once for the whole transaction."""
        key = (kind.kind, column, namespace, value)
        if key not in self._counts:
            await self.prefetch_counts(kind, column, [(namespace, value)])
        return self._counts[key]

    async def names(self, kind: Kind, *, namespace: str, limit: int) -> Sequence[str]:
        """Names of the objects in a namespace, at most so many."""
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        query = select(table.c.name).where(table.c.namespace == namespace).order_by(table.c.name).limit(limit)
        return (await self._connection.execute(query)).scalars().all()

    async def offered(self, kind: Kind, column: str, *, namespace: str, limit: int) -> Sequence[str]:
        """What the classes or plans of a namespace that are still offered are called, at most so many."""
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        is_removed = func.coalesce(table.c.status["removedFromBrokerCatalog"].as_boolean(), False)
        query = select(table.c[column]).where(table.c.namespace == namespace, ~is_removed)
        return (await self._connection.execute(query.order_by(table.c[column]).limit(limit))).scalars().all()

    async def called_by_broker(self, kind: Kind, broker_name: str, *, namespace: str) -> set[str]:
        """What users may call the classes of a broker by other names than their objects': names and ids of its own."""
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        query = select(table.c.external_name, table.c.external_id)
        query = query.where(table.c.namespace == namespace, table.c.broker_name == broker_name)
        return {word for row in await self._connection.execute(query) for word in row if word}

    async def uids_where(
        self, kind: Kind, column: str, values: Sequence[str], *, namespace: str | None
    ) -> Sequence[str]:
        """The uids of all objects whose column has one of the values; a namespace of None means all of them."""
        await self._settle(kind)
        table = OBJECTS[kind.kind]
        found: list[str] = []
        for start in range(0, len(values), _NAMES_PER_STATEMENT):
            query = select(table.c.uid).where(table.c[column].in_(values[start : start + _NAMES_PER_STATEMENT]))
            if namespace is not None:
                query = query.where(table.c.namespace == namespace)
            found += (await self._connection.execute(query)).scalars()
        return found

    def _keep_found(self, document: AnyObject, now: AnyObject | None) -> None:
        """Let `get_cached` tell what this transaction has written itself."""
        if (place := _place(document)) in self._found:
            self._found[place] = now
        if place in self._own:
            self._own[place] = now

    def _keep_own(self, document: AnyObject, now: AnyObject | None) -> None:
        """The same of what it has put off: a look at what is stored might not find it."""
        self._own[_place(document)] = self._found[_place(document)] = now

    async def _settle(self, kind: Kind) -> None:
        """Before a look at what is stored of a kind."""
        if self._pending.are_of(kind):
            await self._pending.flush_kind(kind)

    async def _one(
        self, kind: Kind, query: "Select[Any]", lock: bool, given: Mapping[str, Any] | None = None
    ) -> AnyObject | None:
        if lock and self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        await self._settle(kind)
        breaths = Breaths()
        row = (await self._connection.execute(query, given)).mappings().first()
        if row is None:
            return None
        await breaths.take()
        document = self._codec.from_row(kind, dict(row))
        await breaths.take()
        return document

    async def _all(
        self, kind: Kind, query: "Select[Any]", given: Mapping[str, Any] | None = None
    ) -> Sequence[AnyObject]:
        return await self._each(kind, query, given, made=self._codec.from_row)

    async def _each(
        self,
        kind: Kind,
        query: "Select[Any]",
        given: Mapping[str, Any] | None,
        *,
        made: Callable[[Kind, Mapping[str, Any]], MadeT],
    ) -> Sequence[MadeT]:
        await self._settle(kind)
        breaths, found = Breaths(), []
        for row in (await self._connection.execute(query, given)).mappings():
            await breaths.take()
            found.append(made(kind, dict(row)))
            await breaths.take()
        return found


# To build a statement takes longer than to send it: those that are asked all the time are kept.


def _by_name(table: "Table") -> "Select[Any]":
    is_named = (table.c.namespace == bindparam("namespace"), table.c.name == bindparam("name"))
    return select(table).where(*is_named)


_BY_NAME = {name: _by_name(table) for name, table in OBJECTS.items()}


@cache
def _by_names(kind: str, *, lock: bool, is_postgresql: bool) -> "Select[Any]":
    table = OBJECTS[kind]
    wanted = is_one_of_given_pairs((table.c.namespace, table.c.name), is_postgresql=is_postgresql)
    query = select(table).where(wanted)
    return query.order_by(table.c.uid).with_for_update() if lock and is_postgresql else query


@cache
def _uids_by_names(kind: str, *, is_postgresql: bool) -> "Select[Any]":
    table = OBJECTS[kind]
    wanted = is_one_of_given_pairs((table.c.namespace, table.c.name), is_postgresql=is_postgresql)
    return select(table.c.uid).where(wanted)


@cache
def _of_uids(kind: str, *, is_postgresql: bool) -> "Select[Any]":
    table = OBJECTS[kind]
    return select(table).where(is_one_of_given(table.c.uid, "uids", is_postgresql=is_postgresql))


@cache
def _plain_listing(kind: str, columns: tuple[str, ...], *, of_namespace: bool, limit: int | None) -> "Select[Any]":
    """The values of the columns are given as `of_0` and so on, the namespace as `of_namespace`."""
    table = OBJECTS[kind]
    query = select(table).where(*(table.c[name] == bindparam(f"of_{place}") for place, name in enumerate(columns)))
    if of_namespace:
        query = query.where(table.c.namespace == bindparam("of_namespace"))
    return _ordered(query, kind).limit(limit)


def _ordered(query: "Select[Any]", kind: str) -> "Select[Any]":
    table = OBJECTS[kind]
    return query.order_by(table.c.namespace, table.c.name)


def _place(document: AnyObject) -> tuple[str, str, str]:
    return (document.kind, document.metadata.namespace or "", document.metadata.name)


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
