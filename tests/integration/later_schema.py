"""What the migrations of a later release do to a database that this release still works on: they only add."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chandlery.store.schema import METADATA

LATER: Final = "2099_01_01_tomorrow"


async def expand(connection: AsyncConnection) -> None:
    """More columns, tables and indexes, and a revision that this release does not know."""
    for name in METADATA.tables:
        await connection.execute(text(f"ALTER TABLE {name} ADD COLUMN of_tomorrow VARCHAR"))
        await connection.execute(text(f"ALTER TABLE {name} ADD COLUMN counted_tomorrow INTEGER DEFAULT 0 NOT NULL"))
        await connection.execute(text(f"CREATE INDEX ix_{name}_of_tomorrow ON {name} (of_tomorrow)"))
    await connection.execute(text("CREATE TABLE tomorrow (name VARCHAR PRIMARY KEY)"))
    await connection.execute(text("UPDATE alembic_version SET version_num = :later"), {"later": LATER})
