"""Recorded events, written together when the transaction ends. One that is there already is counted, not repeated.

The recorder gives equal events equal names. A first occurrence costs one statement for all events of the transaction;
only what is there already is read and written again, in two more. Rule: Kubernetes' event recorder ("x3 over 5m" in
`describe`).
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import bindparam, select, text, tuple_, update

from chandlery.model.json.json_text import write_json
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Event
from chandlery.model.objects.metadata import NamespacedName
from chandlery.store.objects.changes import ChangeLog, ChangeVerb, LoggedChange
from chandlery.store.rows import RowCodec
from chandlery.store.schema import OBJECTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_EVENTS = OBJECTS[kinds.EVENT.kind]
_NAME = (_EVENTS.c.namespace, _EVENTS.c.name)
_COLUMNS = [column.name for column in _EVENTS.columns]
_INTO = f"INSERT INTO {_EVENTS.name} ({', '.join(_COLUMNS)})"
_UNLESS_THERE = "ON CONFLICT (namespace, name) DO NOTHING RETURNING uid"
_FIELDS = ", ".join(f"json_extract(value, '$.{name}')" for name in _COLUMNS)
# One text and one parameter whatever the number of events: as quick as a plain insert, which tells nothing.
# Only names of our own schema stand in these texts.
_CREATES = {
    "postgresql": text(
        f"{_INTO} SELECT {', '.join(_COLUMNS)} FROM json_populate_recordset(CAST(NULL AS {_EVENTS.name}),"  # noqa: S608
        f" CAST(:events AS json)) {_UNLESS_THERE}"
    ),
    "sqlite": text(f"{_INTO} SELECT {_FIELDS} FROM json_each(:events) WHERE true {_UNLESS_THERE}"),  # noqa: S608
}
_COUNT = (
    update(_EVENTS)
    .where(_EVENTS.c.uid == bindparam("of_uid"), _EVENTS.c.resource_version == bindparam("of_version"))
    .values(spec=bindparam("said"), annotations=bindparam("noted"), resource_version=bindparam("version"))
)


class EventStore:
    """What this transaction has to say to people."""

    def __init__(self, connection: "AsyncConnection", log: ChangeLog, codec: RowCodec) -> None:
        self._connection = connection
        self._log = log
        self._codec = codec
        self._pending: dict[NamespacedName, Event] = {}

    def record(self, event: Event) -> None:
        """Write the event when the transaction ends, or count it if one of its name is there by then."""
        name = _name_of(event)
        known = self._pending.get(name)
        self._pending[name] = event if known is None else _counted(known, event)

    async def flush(self) -> None:
        """Write what was recorded."""
        if not self._pending:
            return
        # In one order, so that two transactions that say the same do not wait for each other.
        events = [self._pending[name] for name in sorted(self._pending)]
        self._pending.clear()
        created = await self._create(events)
        again = [event for event in events if event.metadata.uid not in created]
        if again:
            await self._count(again)

    async def _create(self, events: Sequence[Event]) -> Collection[str]:
        """Write those whose names are free; returns their uids."""
        first = await self._log.reserve(len(events))
        changes = [self._added(event, first + ordinal) for ordinal, event in enumerate(events)]
        dialect = self._connection.dialect.name
        rows = [
            _plain(self._codec.to_row(event, change.stored) | {"resource_version": change.position}, dialect)
            for event, change in zip(events, changes, strict=True)
        ]
        found = await self._connection.execute(_CREATES[dialect], {"events": write_json(rows).decode()})
        created = set(found.scalars())
        for event, change in zip(events, changes, strict=True):
            if event.metadata.uid in created:
                self._log.append(change)
        return created

    def _added(self, event: Event, position: int) -> LoggedChange:
        metadata = event.metadata.model_copy(update={"resource_version": str(position)})
        stored = self._codec.to_stored(event.model_copy(update={"metadata": metadata}))
        namespace, name = _name_of(event)
        return LoggedChange(position, event.kind, namespace, name, ChangeVerb.ADDED, stored)

    async def _count(self, events: Sequence[Event]) -> None:
        query = select(_EVENTS).where(tuple_(*_NAME).in_([_name_of(event) for event in events])).order_by(*_NAME)
        if self._connection.dialect.name == "postgresql":
            query = query.with_for_update()
        rows = (await self._connection.execute(query)).mappings().all()
        newer, first = {_name_of(event): event for event in events}, await self._log.reserve(len(rows))
        counted: list[dict[str, Any]] = []
        for position, row in enumerate(rows, first):
            # Where a newer transaction has counted the same, watchers would see the two swapped.
            if position > row["resource_version"]:
                old = cast("Event", self._codec.from_row(kinds.EVENT, dict(row)))
                counted.append(self._written_over(old, newer[_name_of(old)], position))
        if counted:
            await self._connection.execute(_COUNT, counted)

    def _written_over(self, old: Event, new: Event, position: int) -> dict[str, Any]:
        metadata = old.metadata.model_copy(
            update={"resource_version": str(position), "annotations": new.metadata.annotations}
        )
        event = _counted(old, new).model_copy(update={"metadata": metadata})
        stored, before = self._codec.to_stored(event), int(old.metadata.resource_version or 0)
        self._log.append(LoggedChange(position, event.kind, *_name_of(event), ChangeVerb.MODIFIED, stored, before))
        row = self._codec.to_row(event, stored)
        values = {"of_uid": row["uid"], "of_version": before, "version": position}
        return values | {"said": row["spec"], "noted": row["annotations"]}


def _name_of(event: Event) -> NamespacedName:
    return event.metadata.namespace or "", event.metadata.name


def _plain(row: dict[str, Any], dialect: str) -> dict[str, Any]:
    if dialect == "postgresql":
        return row
    # As SQLAlchemy writes moments there.
    return row | {"created_at": f"{row['created_at']:%Y-%m-%d %H:%M:%S.%f}"}


def _counted(old: Event, new: Event) -> Event:
    return old.model_copy(update={"count": old.count + new.count, "last_timestamp": new.last_timestamp})
