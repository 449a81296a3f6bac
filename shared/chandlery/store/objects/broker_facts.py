"""What is asked of all service brokers at once, page by page, without their documents.

There may be ten thousand, and the CA bundle of each may have half a megabyte: whoever wants to know one thing of all of
them reads that alone. `status` is small. A field of `spec` makes the database read all of it, so that it is only asked
for where the generation is new.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import select, tuple_

from chandlery.model.objects.kinds import BROKER_KINDS
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.store.schema import OBJECTS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

PAGE: Final = 500
_CONTEXT: Final = "contextAnnotations"
_KINDS: Final = tuple(kind.kind for kind in BROKER_KINDS)


class Place(NamedTuple):
    """In the order of kind, namespace and name; what comes behind it is the next page."""

    kind: str
    namespace: str = ""
    name: str = ""


FIRST: Final = Place(_KINDS[0])


class ReadCatalog(NamedTuple):
    """A service broker's lane, and when its catalog was last read."""

    lane: str
    at: datetime


class CatalogPage(NamedTuple):
    """Those of a page whose catalog has been read, and where the next page begins; None after the last one."""

    found: Sequence[ReadCatalog]
    following: Place | None


class BrokerVersion(NamedTuple):
    """Which specification of which service broker."""

    kind: str
    uid: str
    generation: int


class BrokerFacts:
    """All service brokers, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def lanes(self) -> Sequence[str]:
        """Of the first page of each kind."""
        rows = [row for kind in _KINDS for row in await self._page(Place(kind))]
        return [broker_key(row.namespace, row.name) for row in rows]

    async def catalogs(self, after: Place = FIRST) -> CatalogPage:
        """A page of what was read when."""
        read_at = OBJECTS[after.kind].c.status["lastCatalogRetrievalTime"].as_string()
        rows = await self._page(after, read_at.label("read_at"))
        found = [
            ReadCatalog(broker_key(row.namespace, row.name), datetime.fromisoformat(row.read_at))
            for row in rows
            if row.read_at
        ]
        return CatalogPage(found, _following(after, rows))

    async def versions(self) -> Mapping[str, BrokerVersion]:
        """Of all of them, by lane."""
        found: dict[str, BrokerVersion] = {}
        place: Place | None = FIRST
        while place is not None:
            columns = OBJECTS[place.kind].c
            rows = await self._page(place, columns.uid, columns.generation)
            for row in rows:
                found[broker_key(row.namespace, row.name)] = BrokerVersion(place.kind, row.uid, row.generation)
            place = _following(place, rows)
        return found

    async def limits(self, brokers: Iterable[BrokerVersion]) -> Mapping[str, int]:
        """`spec.maxConcurrentRequests` of those of these that have it, by uid."""
        found: dict[str, int] = {}
        for kind, some in groupby(sorted(brokers), key=attrgetter("kind")):
            uids, table = [each.uid for each in some], OBJECTS[kind]
            # As a text: PostgreSQL's integers end sooner than those that JSON may hold.
            limit = table.c.spec["maxConcurrentRequests"].as_string().label("most")
            for start in range(0, len(uids), PAGE):
                query = select(table.c.uid, limit).where(table.c.uid.in_(uids[start : start + PAGE]))
                rows = await self._connection.execute(query)
                found.update({uid: int(most) for uid, most in rows if most is not None})
        return found

    async def context_annotations(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """`spec.contextAnnotations` of the brokers that a namespace can use and that have it, by lane."""
        found: dict[str, Sequence[str]] = {}
        for kind in BROKER_KINDS:
            place, wanted = Place(kind.kind, namespace if kind.namespaced else ""), OBJECTS[kind.kind].c.spec[_CONTEXT]
            while len(rows := await self._page(place, wanted.label("prefixes"), is_within=True)) > 0:
                found.update({broker_key(row.namespace, row.name): row.prefixes for row in rows if row.prefixes})
                place = place._replace(name=rows[-1].name)
        return found

    async def _page(self, after: Place, *columns: "ColumnElement[Any]", is_within: bool = False) -> Sequence[Any]:
        table: Table = OBJECTS[after.kind]
        place = (table.c.namespace, table.c.name)
        query = select(*place, *columns).where(tuple_(*place) > tuple_(after.namespace, after.name))
        if is_within:
            query = query.where(table.c.namespace == after.namespace)
        return (await self._connection.execute(query.order_by(*place).limit(PAGE))).all()


def _following(after: Place, rows: Sequence[Any]) -> Place | None:
    if len(rows) == PAGE:
        return Place(after.kind, rows[-1].namespace, rows[-1].name)
    later = _KINDS[_KINDS.index(after.kind) + 1 :]
    return Place(later[0]) if later else None
