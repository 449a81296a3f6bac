"""Roles and bindings as they are stored, for whoever keeps them in memory.

They are read as JSON and not as objects, so that one that is spoilt is in nobody's way.
Goes out: all of them, in parts, each with the position of its last change; and what has changed since a position. That
goes beyond the horizon: of what somebody may do the newest word counts, whoever holds up the order of all changes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, select, tuple_, type_coerce

from chandlery.model.json.json_text import NotJson, read_written
from chandlery.model.objects.kinds import RBAC_KINDS, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.store.objects.changes import ENTRY, LoggedChange, change_of
from chandlery.store.schema import CHANGES, OBJECTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_PER_STATEMENT: Final = 500
RULE_KINDS: Final = frozenset(kind.kind for kind in RBAC_KINDS)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A role or a binding."""

    kind: str
    namespace: str
    name: str
    position: int
    """Of its last change."""
    body: JsonObject | None
    """Its fields beside metadata; None if they cannot be read."""


class AccessRuleStore:
    """Roles and bindings, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def part(self, kind: Kind, after: tuple[str, str] | None, *, limit: int) -> Sequence[StoredRule]:
        """Those of one kind in the order of namespace and name."""
        table = OBJECTS[kind.kind]
        columns = (table.c.namespace, table.c.name, table.c.resource_version, type_coerce(table.c.spec, Text))
        query = select(*columns).order_by(table.c.namespace, table.c.name).limit(limit)
        if after is not None:
            query = query.where(tuple_(table.c.namespace, table.c.name) > tuple_(*after))
        rows = await self._connection.execute(query)
        return [
            StoredRule(kind.kind, namespace, name, position, _read(spec)) for namespace, name, position, spec in rows
        ]

    async def changes(self, after: int, *, but: Collection[int]) -> Sequence[LoggedChange]:
        """What was committed of roles and bindings after a position, in order, but for those at some positions."""
        newer = select(CHANGES.c.position).where(CHANGES.c.position > after, CHANGES.c.kind.in_(RULE_KINDS))
        positions = (await self._connection.execute(newer.order_by(CHANGES.c.position))).scalars()
        wanted = [position for position in positions if position not in but]
        found: list[LoggedChange] = []
        for start in range(0, len(wanted), _PER_STATEMENT):
            some = CHANGES.c.position.in_(wanted[start : start + _PER_STATEMENT])
            rows = await self._connection.execute(select(*ENTRY).where(some).order_by(CHANGES.c.position))
            found += map(change_of, rows)
        return found


def _read(spec: Any) -> JsonObject | None:
    """Of a column of JSON: a text on SQLite, while PostgreSQL's driver has read it."""
    try:
        body: Any = read_written(spec) if isinstance(spec, str | bytes) else spec
    except NotJson:
        return None
    return body if isinstance(body, dict) else None
