"""The change log behind `watch`, and the numbers that order it.

Comes in: an entry for each object that is written.
Goes out: numbers for writers (`next_position`); for readers the changes in order (`read`), the horizon below which none
is missing, the snapshot that a list is served from.
Called by: `objects` and `events`, which write; `watch_hub` and `past_objects`, which read; retention, which trims.

A position is `transaction number * 65536 + ordinal within the transaction`; it is also the object's resourceVersion.
On PostgreSQL the transaction number is the server's own (`pg_current_xact_id`). Transactions may commit in another
order, so readers stop below the horizon, the oldest transaction that is still running: nothing smaller can appear there
any more. On SQLite transactions are serial and a counter does. Measured against a commit lock in ADR 0004.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, cast, delete, func, insert, literal_column, or_, select, text

from chandlery.model.faults import Conflict
from chandlery.model.json.json_text import read_written
from chandlery.model.objects.wire import JsonObject
from chandlery.store.rows import utc
from chandlery.store.schema import CHANGES
from chandlery.store.work.leases import read_mark, set_mark

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

ORDINALS = 65536
"""How many changes one transaction may make."""


@dataclass(frozen=True)
class Snapshot:
    """What a reader of that moment saw: all below the horizon, and up to the end what was not under way."""

    horizon: int
    end: int
    """No position from here on had been given out."""
    under_way: tuple[int, ...] = ()
    """Numbers of the transactions between the two that had not ended."""

    @classmethod
    def at(cls, version: int) -> "Snapshot":
        """What a resource version below the horizon stands for: all changes up to it and no other."""
        return cls(version + 1, version + 1)

    @property
    def version(self) -> int:
        """The resource version to watch from: nothing up to it is missing, something beyond it may be there."""
        return self.horizon - 1

    def sees(self, position: int) -> bool:
        """Whether the change at this position is in it."""
        if position < self.horizon:
            return True
        return position < self.end and position // ORDINALS not in self.under_way

    def hides(self, column: "ColumnElement[int]") -> "ColumnElement[bool]":
        """The same for a column of positions, the other way round: whether the change is not in it."""
        later = column >= self.end
        if self.under_way:
            within = [column.between(number * ORDINALS, (number + 1) * ORDINALS - 1) for number in self.under_way]
            later = or_(later, *within)
        return and_(column >= self.horizon, later)


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

TICK = "transactions"
TRIMMED = "changes trimmed to"
AHEAD = "transactions ahead of the server"

# Only constants of this module stand in these texts.
_LEAD = f"coalesce((SELECT value::bigint FROM marks WHERE name = '{AHEAD}'), 0)"  # noqa: S608
_TRANSACTION_NUMBER = text(f"SELECT pg_current_xact_id()::text::bigint + {_LEAD}")
_SNAPSHOT = text(f"SELECT pg_current_snapshot()::text, {_LEAD}")
_HORIZON = f"(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {_LEAD}) * {ORDINALS}"
_CATCH_UP = text(
    f"""
    INSERT INTO marks (name, value)
    SELECT '{AHEAD}', (last + 1 - next)::text
    FROM (
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next, greatest(
            (SELECT max(position) FROM changes), (SELECT value::bigint FROM marks WHERE name = '{TRIMMED}')
        ) / {ORDINALS} AS last
    ) AS numbers
    WHERE last >= next + {_LEAD}
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """  # noqa: S608
)
_OVERTAKEN = text(
    "SELECT 1 FROM changes JOIN unnest(CAST(:kinds AS text[]), CAST(:namespaces AS text[]), CAST(:names AS text[]))"
    " AS created (kind, namespace, name) USING (kind, namespace, name) WHERE position >= :first LIMIT 1"
)
ENTRY = (
    *(CHANGES.c[name] for name in ("position", "kind", "namespace", "name", "verb")),
    # Cast, for asyncpg reads what is sent as `json` whatever SQLAlchemy takes it for.
    cast(CHANGES.c.object, Text),
    CHANGES.c.previous,
)
_INSERT = insert(CHANGES)
_UNCHECKED = "Event"
"""Not worth a statement in every round: one that is deleted and recorded anew at the same moment may stay unseen."""


class ChangeVerb(StrEnum):
    """What happened to an object, in the words of `watch`."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class LoggedChange:
    """One entry of the log. `body` is the object as `RowCodec.to_stored` makes it; from the database, its JSON text.

    `previous` is the position of the object's change before this; None for a creation, and in logs of older releases.
    """

    position: int
    kind: str
    namespace: str
    name: str
    verb: ChangeVerb
    body: JsonObject | str
    previous: int | None = None

    @property
    def stored(self) -> JsonObject:
        """The object. Its text is read each time that somebody asks, and one that cannot be read is in nobody's way.

        Raises NotJson.
        """
        document: JsonObject = read_written(self.body) if isinstance(self.body, str) else self.body
        return document


def change_of(row: "Row[Any]") -> LoggedChange:
    """The change that a row of the columns `ENTRY` tells of."""
    position, kind, namespace, name, verb, body, previous = tuple(row)
    return LoggedChange(position, kind, namespace, name, ChangeVerb(verb), body, previous)


async def continue_numbers(connection: "AsyncConnection") -> None:
    """After a restore on another server, whose ids are smaller: let our numbers go on where the log ends.

    Comparing with the end of the statement's own snapshot, a server that counts on by itself is never corrected.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(_CATCH_UP)


class ChangeLog:
    """Numbers and writes the changes of one transaction, and reads the log."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._number: int | None = None
        self._ordinal = 0
        self._pending: list[dict[str, Any]] = []
        self._created: list[tuple[str, str, str]] = []

    async def next_position(self) -> int:
        """The position for the next change of this transaction."""
        if self._number is None:
            self._number = await self._transaction_number()
        return self._number * ORDINALS + self._ordinal

    async def reserve(self, count: int) -> int:
        """The first of so many positions in a row, all of which are taken from now on, used or not."""
        first = await self.next_position()
        self._ordinal += count
        return first

    def append(self, change: LoggedChange) -> None:
        """Note a change at the position that `next_position` or `reserve` gave; written by `flush`."""
        self._ordinal = max(self._ordinal, change.position % ORDINALS + 1)
        if self._ordinal >= ORDINALS:
            raise OverflowError(f"a transaction may make at most {ORDINALS - 1} changes")
        if change.verb == ChangeVerb.ADDED and change.kind != _UNCHECKED:
            self._created.append((change.kind, change.namespace, change.name))
        row = {
            "position": change.position,
            "kind": change.kind,
            "namespace": change.namespace,
            "name": change.name,
            "verb": change.verb.value,
            "object": change.body,
            "at": self._now,
            "previous": change.previous,
        }
        self._pending.append(row)

    async def flush(self) -> None:
        """Write what was noted. Raises Conflict if a newer transaction has overtaken this one on a name."""
        if not self._pending:
            return
        if self._created and self._is_postgresql:
            await self._refuse_overtaken()
        await self._connection.execute(_INSERT, self._pending)
        self._pending.clear()

    async def horizon(self) -> int:
        """Every change below this position is visible, and no other can appear there any more."""
        if self._is_postgresql:
            return int((await self._connection.execute(select(literal_column(_HORIZON)))).scalar_one())
        ticks = await read_mark(self._connection, TICK)
        return (int(ticks or 0) + 1) * ORDINALS

    async def snapshot(self) -> Snapshot:
        """What is committed by now."""
        if not self._is_postgresql:
            horizon = await self.horizon()
            return Snapshot(horizon, horizon)
        told, lead = (await self._connection.execute(_SNAPSHOT)).one()
        first, end, under_way = told.split(":")
        numbers = tuple(int(number) + lead for number in under_way.split(",") if number)
        return Snapshot((int(first) + lead) * ORDINALS, (int(end) + lead) * ORDINALS, numbers)

    async def hidden_since(self) -> datetime | None:
        """When the oldest change was written that readers are not shown yet, because older transactions still run."""
        if not self._is_postgresql:
            return None
        query = select(func.min(CHANGES.c.at)).where(CHANGES.c.position >= literal_column(_HORIZON))
        since: datetime | None = (await self._connection.execute(query)).scalar()
        return since

    async def read(self, after: int, *, limit: int) -> Sequence[LoggedChange]:
        """The changes after a position and below the horizon, in order."""
        query = select(*ENTRY).where(CHANGES.c.position > after).order_by(CHANGES.c.position).limit(limit)
        if self._is_postgresql:
            query = query.where(CHANGES.c.position < literal_column(_HORIZON))
        rows = await self._connection.execute(query)
        return [change_of(row) for row in rows]

    async def first_after(self, position: int) -> tuple[int, datetime] | None:
        """Position and time of the next change that is committed, be it below the horizon or not yet."""
        first = select(CHANGES.c.position, CHANGES.c.at).where(CHANGES.c.position > position)
        row = (await self._connection.execute(first.order_by(CHANGES.c.position).limit(1))).first()
        return None if row is None else (row.position, utc(row.at))

    async def trimmed_to(self) -> int:
        """Positions up to this one have been forgotten."""
        value = await read_mark(self._connection, TRIMMED)
        return int(value or 0)

    async def trim(self, before: datetime, *, limit: int = 5_000) -> int:
        """Forget changes older than the moment, at most so many, oldest first; returns how many."""
        # From the old end: the young ones, which are nearly all, are not looked at.
        some = select(CHANGES.c.position, CHANGES.c.at).order_by(CHANGES.c.position).limit(limit)
        # Not from the very beginning: until they are vacuumed, what was forgotten before still stands in the index.
        oldest = some.where(CHANGES.c.position > await self.trimmed_to()).subquery()
        newest_old = select(func.max(oldest.c.position)).where(oldest.c.at < before)
        position = (await self._connection.execute(newest_old)).scalar()
        if position is None:
            return 0
        gone = await self._connection.execute(delete(CHANGES).where(CHANGES.c.position <= position))
        await set_mark(self._connection, TRIMMED, str(position))
        return gone.rowcount

    async def _refuse_overtaken(self) -> None:
        # A create can wait for the delete of an object of the same name, and hold the smaller number all the same.
        kinds, namespaces, names = map(list, zip(*self._created, strict=True))
        created = {"kinds": kinds, "namespaces": namespaces, "names": names}
        first = ((self._number or 0) + 1) * ORDINALS
        if (await self._connection.execute(_OVERTAKEN, {"first": first, **created})).first():
            raise Conflict("a newer change of the same object was committed first")

    async def _transaction_number(self) -> int:
        if self._is_postgresql:
            return int((await self._connection.execute(_TRANSACTION_NUMBER)).scalar_one())
        current = await read_mark(self._connection, TICK)
        number = int(current or 0) + 1
        await set_mark(self._connection, TICK, str(number))
        return number
