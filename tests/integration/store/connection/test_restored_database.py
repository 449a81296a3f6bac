"""A database restored on another PostgreSQL server, whose transaction ids are smaller than the stored versions."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import migrate
from chandlery.store.schema import CHANGES, OBJECTS
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import create_one, instance, position_of, read_at_least

AHEAD = 10**9 * 65536
"""As if the server that wrote the rows had made a thousand million transactions more."""
INSTANCES = OBJECTS["ServiceInstance"]


async def _write_on_a_busier_server(database: Database, engine: AsyncEngine) -> int:
    """The version of an object that such a server has left behind."""
    created = await create_one(database, instance("db"))
    version = position_of(created) + AHEAD
    async with engine.begin() as connection:
        await connection.execute(update(INSTANCES).values(resource_version=version))
        await connection.execute(update(CHANGES).values(position=version))
    return version


@pytest.fixture
async def second_way(postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    """Another way into the database of `postgresql`."""
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    yield engine
    await engine.dispose()


async def test_a_restored_database_goes_on_with_larger_numbers(postgresql: Database, second_way: AsyncEngine) -> None:
    before = await _write_on_a_busier_server(postgresql, second_way)
    await migrate(second_way)

    found = await samples.get_instance(postgresql, "db")
    assert found is not None
    updated = await samples.update(postgresql, found, samples.with_parameters(found, size="xl"))
    again = await create_one(postgresql, instance("again"))

    assert before < position_of(updated) < position_of(again)
    changes = await read_at_least(postgresql, 3)
    assert [change.position for change in changes] == [before, position_of(updated), position_of(again)]


async def test_numbers_go_on_after_a_restored_log_was_trimmed(
    postgresql: Database, second_way: AsyncEngine, clock: SetClock
) -> None:
    before = await _write_on_a_busier_server(postgresql, second_way)
    clock.advance(hours=1)
    await postgresql.run(lambda unit: unit.changes.trim(unit.now))
    await migrate(second_way)
    await migrate(second_way)

    assert position_of(await create_one(postgresql, instance("after"))) > before
    assert [change.name for change in await read_at_least(postgresql, 1, after=before)] == ["after"]


async def test_a_server_that_counts_on_by_itself_is_not_corrected(
    postgresql: Database, second_way: AsyncEngine
) -> None:
    """A correction while others write would lift the horizon above what they have not committed yet."""
    async with samples.held_open(postgresql, lambda unit: unit.objects.insert(instance("slow"))):
        quick = await create_one(postgresql, instance("quick"))
        await migrate(second_way)
        horizon = await postgresql.run(lambda unit: unit.changes.horizon())

    changes = await read_at_least(postgresql, 2)
    assert [change.name for change in changes] == ["slow", "quick"]
    assert horizon <= changes[0].position < position_of(quick)
