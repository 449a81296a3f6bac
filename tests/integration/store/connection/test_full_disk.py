"""A database that answers and takes no write is not ready, and says why; when there is room again it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import Refused, Unavailable
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.sealing import Keyring
from tests.integration.store.samples import create_one, get_instance, instance

READ_ONLY = r"is unavailable: cannot execute .* in a read-only transaction$"
NO_SPACE = r"^the database file .*/chandlery\.db cannot be used now: its disk is full$"


@asynccontextmanager
async def _opened(url: str, keyring: Keyring) -> AsyncIterator[tuple[Database, AsyncEngine]]:
    engine = open_engine(url, application_name="chandlery-test", pool_size=1)
    database = Database(engine, keyring)
    try:
        yield database, engine
    finally:
        await database.close()


async def _say(engine: AsyncEngine, statement: str) -> None:
    """On the one connection that there is."""
    async with engine.connect() as connection:
        await connection.execute(text(statement))
        await connection.commit()


async def test_a_full_disk_is_told_by_writes_and_by_readiness_until_there_is_room(
    sqlite_url: str, keyring: Keyring
) -> None:
    async with _opened(sqlite_url, keyring) as (database, engine):
        await create_one(database, instance("before"))
        await database.ping()
        await _say(engine, "PRAGMA max_page_count = 1")  # the smallest that the file allows

        with pytest.raises(Unavailable, match=NO_SPACE) as raised:
            await create_one(database, instance("large", parameters={"text": "x" * 1_000_000}))
        assert not isinstance(raised.value, Refused)
        assert await get_instance(database, "before") is not None
        for _ in range(2):
            with pytest.raises(Unavailable, match=NO_SPACE):
                await database.ping()

        await _say(engine, "PRAGMA max_page_count = 1000000")
        await database.ping()
        await create_one(database, instance("after"))


async def test_a_server_that_is_a_standby_by_now_is_not_ready_until_it_takes_writes(
    postgresql_url: str, keyring: Keyring
) -> None:
    async with _opened(postgresql_url, keyring) as (database, engine):
        await database.ping()
        await _say(engine, "SET default_transaction_read_only = on")

        for _ in range(2):
            with pytest.raises(Unavailable, match=READ_ONLY):
                await create_one(database, instance("refused"))
            with pytest.raises(Unavailable, match=READ_ONLY):
                await database.ping()

        await _say(engine, "SET default_transaction_read_only = off")
        await database.ping()
        await create_one(database, instance("taken"))


async def test_looking_at_a_database_that_works_leaves_nothing_behind(database_url: str, keyring: Keyring) -> None:
    async with _opened(database_url, keyring) as (database, engine):
        with pytest.raises(Unavailable):
            await database.run(lambda _unit: _fail())
        await database.ping()

        async with engine.connect() as connection:
            found = await connection.execute(text("SELECT count(*) FROM marks WHERE name = 'room to write'"))
            assert found.scalar() == 0


async def _fail() -> None:
    raise Unavailable


async def test_a_file_that_is_damaged_in_the_middle_is_named_with_the_way_out(
    sqlite_url: str, keyring: Keyring
) -> None:
    async with _opened(sqlite_url, keyring) as (database, _engine):
        for number in range(20):
            await create_one(database, instance(f"kept-{number}", parameters={"text": "x" * 5_000}))
    path = sqlite_url.removeprefix("sqlite:///")
    _damage(Path(path))

    async with _opened(sqlite_url, keyring) as (database, _engine):
        with pytest.raises(Refused, match=rf'^the database file {path} cannot be used: it is damaged; .*"Backup"'):
            await create_one(database, instance("next"))


def _damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8_192] + b"\xff" * (len(content) - 8_192))
