"""Copies a whole SQLite database into an empty PostgreSQL database, checked, in one transaction: all of it or nothing.

Comes in: two engines; nobody works on either database. Goes out: per table how many rows there are, the same in both.
What is sealed stays as it is, and so do the data keys: with the same key-encryption keys all of it opens.
Called by: `chandlery move-database`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from sqlalchemy import Table, Text, bindparam, cast, func, insert, literal_column, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.store.database_errors import explained
from chandlery.store.objects.changes import AHEAD, TICK, continue_numbers
from chandlery.store.recovery.database_identity import note_identity
from chandlery.store.recovery.restored_hold import HELD
from chandlery.store.recovery.row_digest import TableDigest, is_json, normalized, readable
from chandlery.store.recovery.sole_use import other_process
from chandlery.store.revisions import place_of
from chandlery.store.roles.grants import numbered
from chandlery.store.schema import MARKS, METADATA
from chandlery.store.work.leases import read_mark, set_mark

Told = Callable[[str, int, int], object]
"""A table's name, rows so far, rows in all."""
MOVED: Final = "moved to"
"""The mark of a database that was copied away: where to, and whether it was held before."""
_WAS_HELD: Final = "held, "
_PAGE: Final = 100
"""Rows in memory; an object may have a megabyte."""
_ROW_ID: Final[Any] = literal_column("rowid")


class MoveFailed(Fault):
    """The copy is not what was copied; nothing of it is left."""


async def move_all(source: AsyncEngine, target: AsyncEngine, *, tell: Told) -> dict[str, int]:
    """Copy; returns how many rows each table has. The source is marked as moved when the target is committed.

    Raises ConfigurationFault if the target is not empty or somebody works on it, MoveFailed if what has arrived is
    not what was sent, Unavailable.
    """
    try:
        async with source.connect() as reading, target.begin() as writing:
            await _require_unused(writing, place_of(target))
            sent = {table.name: await _copied(reading, writing, table, tell) for table in METADATA.sorted_tables}
            for table in METADATA.sorted_tables:
                _compare(table.name, sent[table.name], await _digest(writing, table))
            await _finish(writing)
        await _mark_moved(source, place_of(target))
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place_of(target)) or error from error
    return {name: digest.rows for name, digest in sent.items()}


async def _require_unused(writing: AsyncConnection, place: str) -> None:
    for table in METADATA.sorted_tables:
        if (
            table is not MARKS
            and (await writing.execute(select(literal_column("1")).select_from(table).limit(1))).first()
        ):
            raise ConfigurationFault(
                f"the database at {place} is not empty: its table {table.name} has rows. If it is the copy of an "
                "earlier move, nothing is left to do; else name an empty database"
            )
    if who := await other_process(writing):
        raise ConfigurationFault(f"a process works on the database at {place} ({who}): stop it, and move then")


async def _copied(reading: AsyncConnection, writing: AsyncConnection, table: Table, tell: Told) -> TableDigest:
    digest, left_out = TableDigest(), await _left_out(reading) if table is MARKS else ()
    whole = (await reading.execute(select(func.count()).select_from(table))).scalar_one()
    values = {
        column.name: cast(bindparam(column.name, type_=Text()), column.type)
        if is_json(column)
        else bindparam(column.name)
        for column in table.columns
    }
    statement = insert(table).values(values)
    names = [column.name for column in table.columns]
    if table is MARKS:
        await writing.execute(MARKS.delete())
    async for page in _pages(reading, table):
        rows = [row for row in page if table is not MARKS or row[0] not in left_out]
        for row in rows:
            digest.add(row)
        if rows:
            await writing.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        tell(table.name, digest.rows, whole)
    return digest


async def _left_out(reading: AsyncConnection) -> Sequence[str]:
    """Marks that are this database's own."""
    moved = await read_mark(reading, MOVED)
    held = (HELD,) if moved is not None and not moved.startswith(_WAS_HELD) else ()
    return (TICK, AHEAD, MOVED, *held)


async def _pages(reading: AsyncConnection, table: Table) -> AsyncIterator[list[list[Any]]]:
    last = 0
    columns = readable(table, is_postgresql=False)
    while True:
        query = select(_ROW_ID.label("row_id"), *columns).where(last < _ROW_ID).order_by(_ROW_ID).limit(_PAGE)
        rows = (await reading.execute(query)).all()
        if not rows:
            return
        last = rows[-1][0]
        yield [normalized(table, row[1:]) for row in rows]


async def _finish(writing: AsyncConnection) -> None:
    """Sequences and positions go on behind what was copied."""
    for table, column in numbered().items():
        newest = func.coalesce(select(func.max(METADATA.tables[table].c[column])).scalar_subquery(), 0)
        sequence = func.pg_get_serial_sequence(table, column)
        await writing.execute(select(func.setval(sequence, newest + 1, False)))
    await continue_numbers(writing)
    await note_identity(writing, anew=True)


async def _digest(writing: AsyncConnection, table: Table) -> TableDigest:
    digest = TableDigest()
    query = select(*readable(table, is_postgresql=True))
    found = await writing.stream(query.execution_options(yield_per=_PAGE))
    async for row in found:
        digest.add(normalized(table, row))
    return digest


def _compare(name: str, sent: TableDigest, arrived: TableDigest) -> None:
    if sent == arrived:
        return
    raise MoveFailed(
        f"the table {name} has not arrived as it was sent: {sent.rows:,} rows were read, {arrived.rows:,} are there"
        f"{'' if sent.rows != arrived.rows else ', with another checksum'}. Nothing was kept of the copy, and the "
        "SQLite database is as it was: please report this"
    )


async def _mark_moved(source: AsyncEngine, place: str) -> None:
    """Two installations on the same service brokers would undo each other's work: the old one is held from now on."""
    async with source.begin() as connection:
        before = await read_mark(connection, MOVED)
        was_held = before.startswith(_WAS_HELD) if before is not None else bool(await read_mark(connection, HELD))
        await set_mark(connection, MOVED, f"{_WAS_HELD if was_held else ''}{place}")
        if not await read_mark(connection, HELD):
            await set_mark(connection, HELD, "moved")
