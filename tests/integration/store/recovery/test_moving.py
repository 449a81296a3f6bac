"""`chandlery move-database`: all of a SQLite database arrives in PostgreSQL, or nothing of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import JSON, Boolean, DateTime, Integer, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.process.commands.backups.move_command import move_database
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.recovery import moving
from chandlery.store.recovery.moving import MoveFailed, move_all
from chandlery.store.recovery.restored_hold import HELD
from chandlery.store.schema import CHANGES, MARKS, METADATA, OBJECTS, OUTBOX
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.store.samples import create_one, instance, meta, position_of

NOON = datetime(2026, 3, 14, 12, 0, 0, 123456, tzinfo=UTC)
KEY = new_key("laptop")


@pytest.fixture
async def source(sqlite_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(sqlite_url, application_name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def target(postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(postgresql_url, application_name="test")
    yield engine
    await engine.dispose()


def _value(column: Any, number: int) -> Any:
    """Something for this column that is another in each row, with what is easily lost on the way."""
    if isinstance(column.type, JSON):
        return [None, {"b": number, "a": {"x": None}, "ü": "ß\u2028'\""}, {"list": [1.5, True, None]}][number % 3]
    if isinstance(column.type, DateTime):
        return None if column.nullable and number % 3 == 0 else NOON + timedelta(microseconds=number)
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, Integer):
        return number + (2**40 if column.name in ("position", "resource_version", "previous", "writes") else 0)
    if column.nullable and number % 3 == 0:
        return None
    length = getattr(column.type, "length", None) or 30
    return f"{column.name[:4]} é {number}"[:length]


async def _fill(engine: AsyncEngine, rows: int = 7) -> None:
    """Every table there is, whatever comes to be one."""
    async with engine.begin() as connection:
        await connection.execute(MARKS.delete())
        for table in METADATA.sorted_tables:
            made = [{column.name: _value(column, number) for column in table.columns} for number in range(1, rows + 1)]
            await connection.execute(insert(table), made)
            if "labels" in table.c:
                # What SQLAlchemy tells from no value by another spelling.
                await connection.execute(text(f"UPDATE {table.name} SET annotations = NULL WHERE uid LIKE '%2'"))


def _ignored(_table: str, _done: int, _whole: int) -> None:
    """Nobody is told."""


async def _rows(engine: AsyncEngine, table: Any) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        found = (await connection.execute(select(table))).all()
    plain = [
        tuple(each.replace(tzinfo=UTC) if isinstance(each, datetime) else _text(each) for each in row) for row in found
    ]
    return sorted(plain, key=repr)


def _text(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


async def test_every_table_arrives_as_it_was(source: AsyncEngine, target: AsyncEngine) -> None:
    await _fill(source)
    told: list[str] = []
    moved = await move_all(source, target, tell=lambda table, _done, _whole: told.append(table))
    assert set(moved) == set(told) == set(METADATA.tables)
    for table in METADATA.sorted_tables:
        if table is MARKS:
            continue
        assert moved[table.name] == 7
        assert await _rows(target, table) == await _rows(source, table), table.name
    marks = {name for name, _ in await _rows(target, MARKS)}
    assert {name for name, _ in await _rows(source, MARKS)} - marks == {HELD, "moved to"}


async def test_sequences_and_positions_go_on_behind_what_was_copied(
    source: AsyncEngine, target: AsyncEngine, postgresql: Database
) -> None:
    await _fill(source)
    await move_all(source, target, tell=_ignored)
    async with target.begin() as connection:
        added = await connection.execute(insert(OUTBOX).values(at=NOON, message="{}").returning(OUTBOX.c.id))
        assert added.scalar_one() == 8
        newest = (await connection.execute(select(CHANGES.c.position).order_by(CHANGES.c.position.desc()))).scalar()
    assert newest is not None
    assert position_of(await create_one(postgresql, instance("next"))) > newest


async def test_what_is_sealed_opens_with_the_same_keys(sqlite_url: str, postgresql_url: str) -> None:
    keys = Keyring.parse(KEY)
    secret = Secret(metadata=meta("password"), data={"password": "aHVudGVy"})
    for url in (sqlite_url, postgresql_url):
        database = Database(open_engine(url, application_name="test"), keys)
        if url == sqlite_url:
            await database.data_keys.start()
            await database.run(lambda unit: unit.seals.check())
            await database.run(lambda unit: unit.objects.insert(secret))
            await database.close()
            old, new = (open_engine(each, application_name="test") for each in (sqlite_url, postgresql_url))
            await move_all(old, new, tell=_ignored)
            await old.dispose()
            await new.dispose()
            continue
        assert await database.run(lambda unit: unit.seals.verify())
        found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "password"))
        assert isinstance(found, Secret)
        assert found.data == {"password": "aHVudGVy"}
        await database.close()


async def test_a_target_that_is_not_empty_is_left_alone(source: AsyncEngine, target: AsyncEngine) -> None:
    await _fill(source, rows=2)
    await move_all(source, target, tell=_ignored)
    before = [await _rows(target, table) for table in METADATA.sorted_tables]
    with pytest.raises(ConfigurationFault, match="is not empty: its table"):
        await move_all(source, target, tell=_ignored)
    assert [await _rows(target, table) for table in METADATA.sorted_tables] == before


async def test_a_target_that_a_process_works_on_is_refused(
    source: AsyncEngine, target: AsyncEngine, postgresql_url: str
) -> None:
    other = open_engine(postgresql_url, application_name="chandlery-provisioner")
    async with other.connect():
        with pytest.raises(ConfigurationFault, match=r"a process works on .*\(chandlery-provisioner\)"):
            await move_all(source, target, tell=_ignored)
    await other.dispose()


async def test_a_copy_that_does_not_match_leaves_nothing_and_can_be_repeated(
    source: AsyncEngine, target: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(source, rows=3)
    with monkeypatch.context() as patch:
        patch.setattr(moving, "_PAGE", 2)
        real = moving._digest

        async def one_short(writing: Any, table: Any) -> Any:
            digest = await real(writing, table)
            if table.name == "operations":
                digest.checksum += 1
            return digest

        patch.setattr(moving, "_digest", one_short)
        with pytest.raises(
            MoveFailed, match="operations has not arrived as it was sent: 3 rows were read, 3 are there"
        ):
            await move_all(source, target, tell=_ignored)
    assert await _rows(target, OBJECTS["ServiceInstance"]) == []
    assert all(name != "moved to" for name, _ in await _rows(source, MARKS))
    assert (await move_all(source, target, tell=_ignored))["operations"] == 3


async def test_the_old_database_is_held_and_a_second_move_elsewhere_is_not(
    source: AsyncEngine, target: AsyncEngine
) -> None:
    await move_all(source, target, tell=_ignored)
    assert HELD in {name for name, _ in await _rows(source, MARKS)}
    async with target.begin() as connection:
        await connection.execute(MARKS.delete())
    await move_all(source, target, tell=_ignored)
    assert HELD not in {name for name, _ in await _rows(target, MARKS)}


async def test_one_that_was_held_before_stays_held(source: AsyncEngine, target: AsyncEngine) -> None:
    async with source.begin() as connection:
        await connection.execute(insert(MARKS).values(name=HELD, value="2026-01-01T00:00:00+00:00"))
    await move_all(source, target, tell=_ignored)
    async with target.begin() as connection:
        await connection.execute(update(MARKS).where(MARKS.c.name == HELD).values(value=""))
        await connection.execute(MARKS.delete())
    await move_all(source, target, tell=_ignored)
    assert {row[0]: row[1] for row in await _rows(target, MARKS)}[HELD] == "2026-01-01T00:00:00+00:00"


def test_the_command_moves_a_folder(sqlite_url: str, postgresql_url: str, tmp_path: Path) -> None:
    folder, file = tmp_path / "data", Path(sqlite_url.removeprefix("sqlite:///"))
    folder.mkdir(mode=0o700)

    async def fill() -> None:
        engine = open_engine(sqlite_url, application_name="test")
        await _fill(engine, rows=2)
        await engine.dispose()

    asyncio.run(fill())
    file.rename(folder / "chandlery.db")
    plain = postgresql_url.replace("+asyncpg", "")
    done = CliRunner().invoke(move_database, [plain, "--data-dir", str(folder)])
    assert done.exit_code == 0, done.exception
    assert "rows of" in done.output
    assert "were copied from" in done.output
    password = plain.partition("://")[2].partition("@")[0].partition(":")[2]
    assert not password or password not in done.output

    again = CliRunner().invoke(move_database, [plain, "--data-dir", str(folder)])
    assert isinstance(again.exception, ConfigurationFault)
    assert "earlier move" in again.exception.message
