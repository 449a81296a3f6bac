"""Facts about the whole, a name and a text each: what the change log and `resealing` remember between transactions."""

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from chandlery.store.schema import MARKS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def read_mark(connection: "AsyncConnection", name: str) -> str | None:
    """What is marked under that name."""
    return (await connection.execute(select(MARKS.c.value).where(MARKS.c.name == name))).scalar()


async def set_mark(connection: "AsyncConnection", name: str, value: str) -> None:
    """Mark this instead; of two transactions that mark for the first time at once, one counts."""
    done = await connection.execute(update(MARKS).where(MARKS.c.name == name).values(value=value))
    if done.rowcount:
        return
    if connection.dialect.name == "postgresql":
        await connection.execute(postgresql_insert(MARKS).values(name=name, value=value).on_conflict_do_nothing())
        return
    await connection.execute(insert(MARKS).values(name=name, value=value))
