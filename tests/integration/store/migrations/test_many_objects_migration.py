"""Indexes that were made before the migration are taken if they are whole; nobody waits for ever for the others."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.revisions import NEWEST_REVISION
from chandlery.store.schema import METADATA
from tests.support.waiting import eventually

OPERATIONS = Path(__file__).parents[4] / "docs/operations.md"
BEFORE = "2026_12_02_traces"
_OF_ONE = "ix_events_involved_name_namespace_involved_uid"
_EVENT = text(
    "INSERT INTO events (uid, namespace, name, generation, created_at, spec, resource_version, involved_uid,"
    " involved_name) VALUES (:uid, 'team', :uid, 1, now(), '{}', 1, 'same', 'same')"
)
_INVALID = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
_WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE NOT granted AND datname = current_database()"
)


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


async def test_an_index_that_failed_halfway_is_made_anew(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    try:
        wanted = await _indexes(engine)
        async with engine.begin() as connection:
            await connection.run_sync(_go_back)
        async with engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for column in ("a", "b"):
                await alone.execute(_EVENT, {"uid": column})
            # Cannot become what is asked for, as the two are of one object.
            with pytest.raises(IntegrityError):
                await alone.execute(text(f"CREATE UNIQUE INDEX CONCURRENTLY {_OF_ONE} ON events (involved_uid)"))
            assert (await alone.execute(_INVALID)).scalars().all() == [_OF_ONE]

        await migrate(engine)

        assert await _indexes(engine) == wanted
        async with engine.connect() as connection:
            assert (await connection.execute(_INVALID)).scalars().all() == []
    finally:
        await engine.dispose()


async def test_tables_are_held_in_the_order_in_which_transactions_write_them(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_go_back)
        async with engine.connect() as writer, engine.connect() as watcher:
            await writer.execute(text("UPDATE serviceinstances SET name = name"))
            migrating = asyncio.create_task(migrate(engine))
            await eventually(lambda: watcher.scalar(_WAITING), what="the migration to wait for the writer")
            # Who writes objects writes events next.
            await writer.execute(_EVENT, {"uid": "a"})
            await writer.commit()
            assert await migrating == NEWEST_REVISION
    finally:
        await engine.dispose()


async def test_events_are_read_while_indexes_are_made(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    locks: list[str] = []

    def executed(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith("CREATE INDEX"):
            held = "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'events'::regclass"
            locks.extend(connection.execute(text(held)).scalars())

    try:
        async with engine.begin() as connection:
            await connection.run_sync(_go_back)
        event.listen(engine.sync_engine, "before_cursor_execute", executed)
        await migrate(engine)
        assert locks.count("ShareLock") == 4
        assert "AccessExclusiveLock" not in locks
    finally:
        await engine.dispose()
