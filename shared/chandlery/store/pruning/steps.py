"""Steps by which large tables are pruned: each looks at so many rows of an index and no more, whatever there is.

A step that looks for a few rows among many cannot go by how many it takes away: it goes on where the last one has
ended, and tells how far it has come.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, any_, delete, func, select, true

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

Place = tuple[Any, ...]
"""Where a row stands in the index that is walked along."""


class Step(NamedTuple):
    """What one step has done."""

    removed: int
    reached: Place | None
    """Behind which row the next step looks; None at the end of the table."""


async def last_place(connection: "AsyncConnection", rows: "Select[Any]", *, limit: int) -> Place | None:
    """The last of so many rows, which are in order; None if there are fewer."""
    found = (await connection.execute(rows.offset(limit - 1).limit(1))).first()
    return None if found is None else tuple(found)


async def remove_surplus(  # noqa: PLR0913 - each by its name
    connection: "AsyncConnection",
    table: "Table",
    *,
    key: str,
    of_one: Sequence[str],
    newest_first: "ColumnElement[Any]",
    among: "Select[Any]",
    keep: int,
    limit: int,
) -> int:
    """Of each group of rows, leave the newest; returns how many rows went, at most so many.

    `of_one` are the columns that are equal in a group, and `among` selects them, of the rows that are looked at. `key`
    is the primary key.
    """
    groups = among.subquery()
    known = select(*(groups.c[name] for name in of_one)).distinct().subquery()
    alike = and_(*(table.c[name] == known.c[name] for name in of_one))
    if connection.dialect.name == "postgresql":
        # One look into the index for each group: a join would be made by reading the whole table.
        each = select(table.c[key]).where(alike).order_by(newest_first).offset(keep).limit(limit).lateral()
        surplus = select(each.c[key]).select_from(known.join(each, true()))
    else:
        place = func.row_number().over(partition_by=[table.c[name] for name in of_one], order_by=newest_first)
        placed = select(table.c[key], place.label("place")).join(known, alike).subquery()
        surplus = select(placed.c[key]).where(placed.c.place > keep)
    return await remove_found(connection, table.c[key], surplus.limit(limit))


async def remove_found(connection: "AsyncConnection", column: "Column[Any]", values: "Select[Any]") -> int:
    """Remove the rows whose column has one of these values; returns how many went."""
    is_found: Any = column.in_(values)
    if connection.dialect.name == "postgresql":
        # By an index, always: with IN the table would be joined, and perhaps read.
        is_found = column == any_(func.array(values.scalar_subquery()))
    return (await connection.execute(delete(column.table).where(is_found))).rowcount
