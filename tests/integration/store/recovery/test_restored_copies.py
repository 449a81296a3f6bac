"""A dump that is restored into another database is noticed, held, and gives out numbers that nobody has seen."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import RESTORED, migrate
from chandlery.store.recovery.new_numbers import LEAP
from chandlery.store.recovery.restored_database import RestoredUnseen
from chandlery.store.schema import MARKS
from tests.integration.store.samples import create_one, get_instance, instance, position_of, read_at_least

ORDINALS = 65536


@pytest.fixture
async def engine(postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    """Another way into the database of `postgresql`."""
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    yield engine
    await engine.dispose()


async def _move(engine: AsyncEngine) -> None:
    """As if what is here had come out of a dump."""
    async with engine.begin() as connection:
        await connection.execute(update(MARKS).where(MARKS.c.name == "database identity").values(value="1/2"))


async def test_migrate_notices_a_restored_copy_once(postgresql: Database, engine: AsyncEngine) -> None:
    said: list[str] = []
    assert await postgresql.run(lambda unit: unit.restored.look()) is None
    await migrate(engine, say=said.append)
    assert said == []

    await _move(engine)
    await migrate(engine, say=said.append)
    await migrate(engine, say=said.append)
    assert said == [RESTORED]
    assert await postgresql.run(lambda unit: unit.restored.look()) is not None
    await postgresql.run(lambda unit: unit.restored.go_on())
    assert await postgresql.run(lambda unit: unit.restored.look()) is None


async def test_a_process_that_starts_on_a_copy_waits_until_migrate_has_seen_it(
    postgresql: Database, engine: AsyncEngine
) -> None:
    await postgresql.run(lambda unit: unit.restored.look())
    await _move(engine)
    for _ in range(2):
        with pytest.raises(RestoredUnseen, match="run `chandlery migrate`"):
            await postgresql.run(lambda unit: unit.restored.look())
    before = await postgresql.run(lambda unit: unit.changes.snapshot())
    await migrate(engine)
    assert await postgresql.run(lambda unit: unit.restored.look()) is not None
    assert await postgresql.run(lambda unit: unit.changes.trimmed_to()) > before.version
    # A planned move: nothing is to be reconciled, and it is not asked again.
    await postgresql.run(lambda unit: unit.restored.go_on())
    assert await postgresql.run(lambda unit: unit.restored.look()) is None


async def test_a_dump_that_is_restored_into_the_very_same_database_is_noticed(
    postgresql: Database, engine: AsyncEngine
) -> None:
    await postgresql.run(lambda unit: unit.restored.look())
    async with engine.begin() as connection:
        # What `pg_restore --clean` does with each table.
        for statement in (
            "CREATE TABLE dumped AS SELECT * FROM marks",
            "DROP TABLE marks",
            "CREATE TABLE marks (name varchar PRIMARY KEY, value varchar NOT NULL)",
            "INSERT INTO marks SELECT * FROM dumped",
        ):
            await connection.execute(text(statement))
    assert await postgresql.run(lambda unit: unit.restored.is_copy())


async def test_a_database_from_before_identities_is_not_held(postgresql: Database, engine: AsyncEngine) -> None:
    await migrate(engine)
    assert await postgresql.run(lambda unit: unit.restored.is_copy()) is False


async def test_positions_of_the_lost_time_are_never_given_out_again(database: Database) -> None:
    before = position_of(await create_one(database, instance("before")))
    await database.run(lambda unit: unit.restored.begin_anew())
    lost = before + 1_000_000 * ORDINALS

    trimmed = await database.run(lambda unit: unit.changes.trimmed_to())
    snapshot = await database.run(lambda unit: unit.changes.snapshot())
    assert lost < trimmed, "a client that goes on from there is told to list again"
    assert snapshot.version > trimmed, "and from a list of now it may go on"
    after = position_of(await create_one(database, instance("after")))
    assert after >= before + LEAP * ORDINALS
    assert [change.name for change in await read_at_least(database, 1, after=snapshot.version)] == ["after"]
    assert await get_instance(database, "before") is not None


async def test_a_second_restore_leaps_again(database: Database) -> None:
    await database.run(lambda unit: unit.restored.begin_anew())
    first = position_of(await create_one(database, instance("first")))
    await database.run(lambda unit: unit.restored.begin_anew())
    second = position_of(await create_one(database, instance("second")))
    assert second - first >= LEAP * ORDINALS
