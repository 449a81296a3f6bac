"""Lists as they were at a snapshot: today's rows with everything that has changed since taken back by the change log.

Each change knows the position of the object's change before it, so one step back leads to what was there. If that has
been forgotten by the log, the past of this object is unknown, and whoever asks is told so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, tuple_

from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import NamespacedName
from chandlery.model.objects.wire import JsonObject
from chandlery.store.breaths import Breaths
from chandlery.store.objects.changes import ChangeLog, ChangeVerb, Snapshot
from chandlery.store.objects.object_reads import Listing
from chandlery.store.objects.objects import ObjectStore
from chandlery.store.rows import RowCodec, plain_form
from chandlery.store.schema import CHANGES

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

_PER_STATEMENT = 5_000


@dataclass(frozen=True)
class PastPart:
    """A part of a list: the objects in the order of namespace and name."""

    objects: Sequence[JsonObject]
    """In wire form (`plain_form`)."""
    unknown: Mapping[NamespacedName, JsonObject | None]
    """Where something was whose state then has been forgotten, with what is there today."""
    reached: NamespacedName | None
    """Where the next part goes on; None at the end of the list."""
    is_covered: bool
    """Whether the log still has all changes since the snapshot. If not, nothing of this can be relied on."""

    @property
    def nearest(self) -> Sequence[JsonObject]:
        """The objects, those whose state then has been forgotten as they are today."""
        if not self.unknown:
            return self.objects
        today = [document for document in self.unknown.values() if document is not None]
        return sorted([*self.objects, *today], key=_name_of)


class PastObjects:
    """The objects as they were."""

    def __init__(self, connection: "AsyncConnection", log: ChangeLog, codec: RowCodec, objects: ObjectStore) -> None:
        self._connection = connection
        self._log = log
        self._codec = codec
        self._objects = objects

    async def part(self, kind: Kind, listing: Listing, snapshot: Snapshot) -> PastPart:
        """What the listing had at the snapshot.

        It is more than the limit if much was removed since, less if much was created. `where` and `labels` narrow down
        what is there today and not what is brought back: callers check every object.
        """
        rows = await self._objects.list_plain(kind, listing)
        reached = _name_of(rows[-1]) if listing.limit is not None and len(rows) == listing.limit else None
        # After the rows, so that nothing they show is missing here.
        first = await self._first_changes(kind, replace(listing, where=(), labels=()), reached, snapshot)
        unknown: Mapping[NamespacedName, JsonObject | None] = {}
        if first:
            today = {_name_of(document): document for document in rows}
            past, forgotten = await self._before(kind, first)
            unknown = {full_name: today.get(full_name) for full_name in forgotten}
            kept = [document for full_name, document in today.items() if full_name not in first]
            rows = sorted([*kept, *past], key=_name_of)
        is_covered = snapshot.version >= await self._log.trimmed_to()
        return PastPart(rows, unknown, reached, is_covered)

    async def _first_changes(
        self, kind: Kind, listing: Listing, reached: NamespacedName | None, snapshot: Snapshot
    ) -> Mapping[NamespacedName, int]:
        """The position of the first change since the snapshot of everything within the part that has changed."""
        full_name = tuple_(CHANGES.c.namespace, CHANGES.c.name)
        query = select(CHANGES.c.namespace, CHANGES.c.name, func.min(CHANGES.c.position))
        query = query.where(CHANGES.c.kind == kind.kind, snapshot.hides(CHANGES.c.position))
        if listing.namespace is not None:
            query = query.where(CHANGES.c.namespace == listing.namespace)
        if listing.after is not None:
            query = query.where(full_name > tuple_(*listing.after))
        if reached is not None:
            query = query.where(full_name <= tuple_(*reached))
        found = await self._connection.execute(query.group_by(CHANGES.c.namespace, CHANGES.c.name))
        return {(namespace, name): position for namespace, name, position in found}

    async def _before(
        self, kind: Kind, first: Mapping[NamespacedName, int]
    ) -> tuple[list[JsonObject], frozenset[NamespacedName]]:
        """What was there before these changes, and where that is not known."""
        query = select(CHANGES.c.namespace, CHANGES.c.name, CHANGES.c.previous).where(
            CHANGES.c.verb != ChangeVerb.ADDED.value
        )
        changed = await self._rows(query, sorted(first.values()))
        sought = {row["previous"]: (row["namespace"], row["name"]) for row in changed if row["previous"] is not None}
        found = await self._rows(select(CHANGES.c.position, CHANGES.c.object), sorted(sought))
        known = {sought[row["position"]] for row in found}
        everything = {(row["namespace"], row["name"]) for row in changed}
        past, breaths = [], Breaths()
        for row in found:
            past.append(self._then(kind, row["object"], sought[row["position"]]))
            await breaths.take()
        return past, frozenset(everything - known)

    def _then(self, kind: Kind, stored: JsonObject, full_name: NamespacedName) -> JsonObject:
        namespace, name = full_name
        return plain_form(self._codec.from_stored(kind, stored, namespace=namespace, name=name))

    async def _rows(self, query: "Select[Any]", positions: Sequence[int]) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        breaths = Breaths()
        for start in range(0, len(positions), _PER_STATEMENT):
            part = query.where(CHANGES.c.position.in_(positions[start : start + _PER_STATEMENT]))
            for row in (await self._connection.execute(part)).mappings():
                rows.append(row)
                await breaths.take()
        return rows


def _name_of(document: JsonObject) -> NamespacedName:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
