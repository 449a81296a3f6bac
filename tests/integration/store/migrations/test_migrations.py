"""Migrations on both databases: up from nothing, down and up again, the tables that the code expects, one at a time."""

import asyncio
import socket
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.process.schema_waits import prepare_schema
from chandlery.store import migrate as migrations
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate, migration_sql
from chandlery.store.revisions import NEWEST_REVISION, REVISIONS, current_revision, is_later, is_older
from chandlery.store.schema import METADATA
from tests.integration.later_schema import LATER, expand
from tests.support.waiting import SOON, eventually


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _differences(connection: Connection) -> list[object]:
    def is_of_this_database(item: Any, _name: str | None, what: str, _is_found: bool, _other: Any) -> bool:
        condition = item._ddl_if if what == "index" else None
        return condition is None or condition.dialect == connection.dialect.name

    options = {"include_object": is_of_this_database}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


def _downgrade(connection: Connection, revision: str = "base") -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


async def test_an_empty_database_has_no_revision(empty_engine: AsyncEngine) -> None:
    assert await current_revision(empty_engine) is None


async def test_an_empty_database_gets_every_table(empty_engine: AsyncEngine) -> None:
    assert await migrate(empty_engine) == NEWEST_REVISION

    assert await current_revision(empty_engine) == NEWEST_REVISION
    async with empty_engine.connect() as connection:
        assert await connection.run_sync(_tables) == {*METADATA.tables, "alembic_version"}


async def test_a_migrated_database_has_the_tables_that_the_code_expects(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_migrating_again_changes_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO marks (name, value) VALUES ('kept', 'yes')"))

    assert await migrate(engine) == NEWEST_REVISION

    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT value FROM marks WHERE name = 'kept'"))).scalar() == "yes"


async def test_migrations_can_be_taken_back_and_made_again(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_downgrade)
        assert await connection.run_sync(_tables) == {"alembic_version"}
    assert await current_revision(engine) is None

    await migrate(engine)

    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_several_processes_that_migrate_at_once_queue_up(empty_database_url: str) -> None:
    engines = [open_engine(empty_database_url, application_name=f"chandlery-test-{number}") for number in range(4)]
    try:
        async with asyncio.timeout(60):
            assert await asyncio.gather(*map(migrate, engines)) == [NEWEST_REVISION] * 4
        async with engines[0].connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        for engine in engines:
            await engine.dispose()


async def test_a_migration_that_fails_halfway_leaves_nothing(
    empty_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = migrations._upgrade

    def upgrade_and_fail(connection: Connection, place: str) -> None:
        upgrade(connection, place)
        raise LookupError

    monkeypatch.setattr(migrations, "_upgrade", upgrade_and_fail)
    with pytest.raises(LookupError):
        await migrate(empty_engine)

    async with empty_engine.connect() as connection:
        assert await connection.run_sync(_tables) == set()


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    engine = open_engine(f"postgresql://u:hunter2@127.0.0.1:{port}/d", application_name="chandlery-test")

    for look in (migrate, current_revision):
        async with asyncio.timeout(SOON):
            with pytest.raises(Unavailable, match="cannot be reached") as raised:
                await look(engine)
        assert "hunter2" not in str(raised.value)


@pytest.fixture
async def later_engine(engine: AsyncEngine) -> AsyncEngine:
    """A database that a later release has migrated."""
    async with engine.begin() as connection:
        await expand(connection)
    return engine


async def test_a_later_schema_is_left_as_it_is(later_engine: AsyncEngine) -> None:
    assert await migrate(later_engine) == LATER

    assert await current_revision(later_engine) == LATER
    assert is_later(LATER)
    assert not is_later(NEWEST_REVISION)
    assert not is_older(LATER)
    for migrates in (True, False):
        await prepare_schema(later_engine, migrates=migrates)


async def test_processes_wait_for_the_schema_that_they_need(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_downgrade, REVISIONS[-2])
    said: list[str] = []

    async def migrate_when_one_waits() -> None:
        await eventually(lambda: said, what="a process that waits")
        await migrate(engine)

    with capture_logs() as lines:
        async with asyncio.timeout(SOON), asyncio.TaskGroup() as group:
            group.create_task(prepare_schema(engine, migrates=False))
            group.create_task(migrate_when_one_waits())
            await eventually(lambda: lines, what="a line")
            said.append(str(lines[0]["event"]))
    assert said[0].startswith(
        f"the database is at schema {REVISIONS[-2]}, this release needs {NEWEST_REVISION}: run `chandlery migrate`"
    )


async def test_the_schema_of_another_program_is_refused(empty_engine: AsyncEngine) -> None:
    async with empty_engine.begin() as connection:
        await connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        await connection.execute(text("INSERT INTO alembic_version VALUES ('4fe1c8d2')"))

    for look in (migrate, current_revision):
        with pytest.raises(
            Refused, match=r"schema of another program \(revision 4fe1c8d2\); use a separate database"
        ) as raised:
            await look(empty_engine)
        assert raised.value.is_setting


async def test_the_printed_sql_does_what_migrating_does(empty_engine: AsyncEngine) -> None:
    await _run_printed(empty_engine, migration_sql(empty_engine.dialect.name))

    assert await current_revision(empty_engine) == NEWEST_REVISION
    async with empty_engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_the_printed_sql_can_begin_at_a_revision(empty_engine: AsyncEngine) -> None:
    first = ScriptDirectory.from_config(migrations._config()).get_bases()[0]
    whole = migration_sql(empty_engine.dialect.name)
    rest = migration_sql(empty_engine.dialect.name, first)

    assert "Running upgrade  -> " in whole
    assert "Running upgrade  -> " not in rest
    assert rest.count("Running upgrade") == whole.count("Running upgrade") - 1
    with pytest.raises(ConfigurationFault, match="has no revision 'yesterday'"):
        migration_sql("postgresql", "yesterday")


async def _run_printed(engine: AsyncEngine, printed: str) -> None:
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        if engine.dialect.name == "postgresql":
            await raw.execute(printed)
        else:
            await raw.executescript(printed)


def test_there_is_one_line_of_revisions_that_all_can_be_taken_back() -> None:
    script = ScriptDirectory.from_config(migrations._config())

    assert script.get_heads() == [NEWEST_REVISION]
    assert list(REVISIONS) == [revision.revision for revision in script.walk_revisions()][::-1]
    assert all(revision.module.downgrade.__doc__ for revision in script.walk_revisions())
