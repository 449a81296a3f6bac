"""SQLite in the event loop: what is short needs no thread, what is long or waits keeps nobody from their work."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chandlery.store.connection.engine import open_engine
from chandlery.store.connection.sqlite_connection import LoopConnection
from tests.support.measured.loop_turns import turns_of_others
from tests.support.waiting import eventually

LONG: Final = text(
    "SELECT count(*) FROM"
    " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) SELECT i FROM n)"
)
MANY: Final = 2_000_000
ADDED: Final = text("INSERT INTO things (uid, name) VALUES (:uid, :name)")
NAMES: Final = text("SELECT name FROM things ORDER BY uid")


@pytest.fixture
async def engine(sqlite_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(sqlite_url, application_name="test")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE things (uid INTEGER PRIMARY KEY, name TEXT)"))
    yield engine
    await engine.dispose()


async def _driver(connection: AsyncConnection) -> LoopConnection:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, LoopConnection)
    return driver


class Hops:
    """Counts what is handed to the thread."""

    def __init__(self, driver: LoopConnection) -> None:
        self._driver = driver
        self._before = driver._handed_over

    @property
    def count(self) -> int:
        return self._driver._handed_over - self._before


async def test_short_statements_make_no_hop_and_a_commit_makes_one(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        hops = Hops(await _driver(connection))
        async with connection.begin():
            await connection.execute(ADDED, {"uid": 1, "name": "a"})
            await connection.execute(ADDED, [{"uid": uid, "name": "b"} for uid in (2, 3)])
            await connection.execute(text("UPDATE things SET name = 'c' WHERE things.uid = :uid"), {"uid": 3})
            assert list((await connection.execute(NAMES)).scalars()) == ["a", "b", "c"]
            assert hops.count == 0
        assert hops.count == 1


async def test_a_long_read_is_taken_to_the_thread_and_loses_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        hops = Hops(await _driver(connection))
        await connection.execute(ADDED, {"uid": 1, "name": "written before"})
        async with turns_of_others() as turns:
            assert (await connection.execute(LONG, {"most": MANY})).scalar() == MANY
        assert hops.count == 1
        assert turns.count > 10
        # The read was broken off once; the transaction was not.
        assert list((await connection.execute(NAMES)).scalars()) == ["written before"]
    async with engine.connect() as connection:
        assert list((await connection.execute(NAMES)).scalars()) == ["written before"]


async def test_long_rows_are_fetched_by_the_thread_from_where_the_loop_has_left_off(engine: AsyncEngine) -> None:
    names = [f"{uid:03}" * 100_000 for uid in range(100)]
    async with engine.begin() as connection:
        await connection.execute(ADDED, [{"uid": uid, "name": name} for uid, name in enumerate(names)])
        hops = Hops(await _driver(connection))
        assert list((await connection.execute(NAMES)).scalars()) == names
        assert hops.count == 1


async def test_whoever_asks_for_one_thing_after_another_gives_way(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(ADDED, {"uid": 1, "name": "a"})
        hops = Hops(await _driver(connection))
        renamed = text("UPDATE things SET name = :to WHERE things.uid = :uid")
        async with turns_of_others() as turns:
            for number in range(2_000):
                await connection.execute(renamed, {"to": str(number), "uid": 1})
        assert hops.count == 0
        assert turns.count > 10


async def test_what_is_long_is_written_by_the_thread(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        hops = Hops(await _driver(connection))
        await connection.execute(ADDED, {"uid": 1, "name": "a" * 300_000})
        assert hops.count == 1
        await connection.execute(ADDED, [{"uid": uid, "name": "a" * 150_000} for uid in (2, 3)])
        assert hops.count == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO things (uid, name) SELECT uid + 10, name FROM things",
        "UPDATE things SET name = 'all'",
        "UPDATE things SET name = 'some' WHERE things.uid IN (SELECT uid FROM things)",
        "DELETE FROM things",
    ],
)
async def test_what_may_write_many_rows_is_left_to_the_thread(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        hops = Hops(await _driver(connection))
        await connection.execute(text(statement))
        assert hops.count == 1


async def test_many_rows_at_once_are_left_to_the_thread(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        hops = Hops(await _driver(connection))
        await connection.execute(ADDED, [{"uid": uid, "name": "a"} for uid in range(65)])
        assert hops.count == 1


async def test_the_lock_of_another_process_is_waited_for_in_the_thread(engine: AsyncEngine, sqlite_url: str) -> None:
    other = sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///")), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> int:
        async with engine.begin() as connection:
            await connection.execute(ADDED, {"uid": 1, "name": "after the other"})
            return int((await connection.execute(text("PRAGMA busy_timeout"))).scalar_one())

    writing = asyncio.create_task(write())
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
        assert not writing.done()
        other.execute("INSERT INTO things (uid, name) VALUES (0, 'the other')")
        other.execute("COMMIT")
        assert await writing == 30_000
    assert list(other.execute("SELECT name FROM things ORDER BY uid")) == [("the other",), ("after the other",)]
    other.close()


async def test_whoever_was_cancelled_in_a_long_read_leaves_the_connection_to_the_next(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        driver = await _driver(connection)
        reading = asyncio.create_task(driver.cursor().execute(LONG.text.replace(":most", str(MANY))))
        # How far it gets in its first turn is the machine's matter.
        await eventually(lambda: driver.is_busy)
        reading.cancel()
        cursor = driver.cursor()
        await cursor.execute("SELECT 1")
        assert await cursor.fetchall() == [(1,)]
        await eventually(lambda: not driver.is_busy)


async def test_what_sqlite_refuses_is_raised_whichever_way_it_was_asked(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        driver = await _driver(connection)
        for statement in ("SELECT name FROM nowhere", "DELETE FROM nowhere"):
            with pytest.raises(sqlite3.OperationalError, match="nowhere"):
                await driver.cursor().execute(statement)
