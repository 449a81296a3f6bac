"""Counts all objects by kind, lane and Ready in parts, none of which keeps a connection or the server for long.

There is no way round looking at every row of work, and two ways to do so on PostgreSQL. With a million rows, 488 MiB:

- An index of 7 MiB has all three columns. It is read alone in 0.15 to 0.4 s if the table has hardly been
  written to since it was vacuumed. For what was, PostgreSQL looks into the table, at random: after an update of a third
  of the rows 1.3 million times, which took 7 s and 10 GB of buffers. Its own statistics decide (`_HOW_WRITTEN`).
- The table page by page: 32 MiB make a part, which takes 0.03 to 0.1 s, and a million rows 16 parts, 31 if half of the
  table is dead rows. A row that moves while others are counted may count twice, or not at all.

SQLite reads its index in 0.2 s in any case, and one part is all; nobody writes meanwhile.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import bindparam, func, select, text

from chandlery.model.objects import kinds
from chandlery.store.schema import WORK_QUEUE as W

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

PAGES: Final = 4_096
"""Of 8 KiB: so many make a part."""
_MOST_BY_INDEX: Final = 2_000_000
"""Rows that are read from the index in one go."""
_MOST_WRITTEN: Final = 20_000
"""Rows that may have been written since the table was vacuumed for the index to do."""
_HAVE_READY: Final = (kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind, *(k.kind for k in kinds.BROKER_KINDS))
_UNKNOWN: Final = "Unknown"
_HOW_WRITTEN: Final = text(
    "SELECT pg_relation_size(c.oid) / current_setting('block_size')::int AS pages, c.reltuples AS rows,"
    " c.relpages - c.relallvisible AS unclear, s.n_dead_tup + s.n_ins_since_vacuum AS written"
    " FROM pg_class c JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = 'work_queue'::regclass"
)
_COLUMNS: Final = (W.c.kind, W.c.lane, W.c.ready)
# All kinds, in the order of the index: with a condition PostgreSQL would rather read the whole table.
_ALL: Final = select(*_COLUMNS, func.count()).group_by(*_COLUMNS)
_SOME: Final = _ALL.where(
    text("ctid >= format('(%s,0)', CAST(:first AS bigint))::tid").bindparams(bindparam("first")),
    text("ctid < format('(%s,0)', CAST(:last AS bigint))::tid").bindparams(bindparam("last")),
)


class ReadyObjects(NamedTuple):
    """Objects of a kind and a lane by the status of their condition Ready."""

    kind: str
    lane: str
    ready: str
    number: int


class CountedPart(NamedTuple):
    """What was counted, and at which page the next part begins; None after the last one."""

    found: list[ReadyObjects]
    following: int | None


async def count_part(connection: "AsyncConnection", first: int) -> CountedPart:
    """Count from this page on; 0 is the beginning. An object without a condition Ready is as if it were Unknown."""
    if connection.dialect.name != "postgresql":
        return CountedPart(await _counted(connection), None)
    table = (await connection.execute(_HOW_WRITTEN)).one()
    is_index_enough = max(table.written, table.unclear) <= _MOST_WRITTEN and table.rows <= _MOST_BY_INDEX
    if first == 0 and (is_index_enough or table.pages <= PAGES):
        return CountedPart(await _counted(connection), None)
    following = first + PAGES
    return CountedPart(await _counted(connection, first), following if following < table.pages else None)


async def _counted(connection: "AsyncConnection", first: int | None = None) -> list[ReadyObjects]:
    pages = {} if first is None else {"first": first, "last": first + PAGES}
    rows = (await connection.execute(_ALL if first is None else _SOME, pages)).all()
    counted = [ReadyObjects(kind, lane, ready or _UNKNOWN, number) for kind, lane, ready, number in rows]
    return [each for each in counted if each.kind in _HAVE_READY]
