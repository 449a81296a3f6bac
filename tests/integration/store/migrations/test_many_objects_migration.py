"""Indexes that were made before the migration, as the documents say, are taken as they are."""

import re
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.schema import METADATA

OPERATIONS = Path(__file__).parents[4] / "docs/operations.md"
BEFORE = "2026_12_02_traces"


def _go_back(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, BEFORE)


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def _indexes(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()"))
        return set(found.scalars())


async def test_indexes_that_were_made_before_are_taken(postgresql_url: str) -> None:
    statements = re.findall(r"^CREATE INDEX CONCURRENTLY [^;]+", OPERATIONS.read_text(), re.MULTILINE)
    assert len(statements) == 4
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    try:
        wanted = await _indexes(engine)
        async with engine.begin() as connection:
            await connection.run_sync(_go_back)
        async with engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                await alone.execute(text(statement))

        await migrate(engine)

        assert await _indexes(engine) == wanted
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()
