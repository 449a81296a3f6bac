"""A SQLite database is copied while others write to it; the copy is whole, private, and can be put back."""

import asyncio
import contextlib
import sqlite3
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.backups.backup_command import backup
from chandlery.store.connection.backup import BackupFailed, back_up
from chandlery.store.sealing.sealing import Keyring
from tests.integration.store.conftest import OpenDatabase
from tests.integration.store.samples import create_one, get_instance, instance


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _names(folder: Path, part: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if part in path.name)


async def test_a_copy_is_one_moment_of_a_database_that_is_written_to(
    sqlite_url: str, open_database: OpenDatabase, tmp_path: Path
) -> None:
    database, target = open_database(sqlite_url), tmp_path / "copy.db"
    await create_one(database, instance("before"))
    is_over = asyncio.Event()

    async def write_on() -> int:
        number = 0
        while not is_over.is_set() or number < 5:
            await create_one(database, instance(f"meanwhile-{number}"))
            number += 1
        return number

    writing = asyncio.create_task(write_on())
    size = await asyncio.to_thread(back_up, _file(sqlite_url), target)
    is_over.set()
    written = await writing
    await create_one(database, instance("after"))

    assert size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert _names(tmp_path, "copy") == ["copy.db"]
    restored = open_database(f"sqlite:///{target}")
    assert await get_instance(restored, "before") is not None
    assert await get_instance(restored, "after") is None
    kept = [await get_instance(restored, f"meanwhile-{number}") is not None for number in range(written)]
    assert kept == sorted(kept, reverse=True), "what came later is not there without what came before"
    await create_one(restored, instance("goes-on"))


def test_a_backup_replaces_no_file(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("kept")

    with pytest.raises(ConfigurationFault, match="exists already"):
        back_up(_file(sqlite_url), target)

    assert target.read_text() == "kept"


@pytest.mark.parametrize("target", ["missing/copy.db", "file/copy.db"])
def test_a_place_that_cannot_be_written_is_named(sqlite_url: str, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(ConfigurationFault, match=f"{target} cannot be written"):
        back_up(_file(sqlite_url), tmp_path / target)


def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    source.write_bytes(b"no database " * 1000)

    with pytest.raises(
        BackupFailed, match=r"source\.db cannot be copied: it is not a SQLite database.* restore a backup"
    ):
        back_up(source, tmp_path / "copy.db")

    assert [path.name for path in tmp_path.iterdir()] == ["source.db"]


def test_a_database_that_is_damaged_within_is_named_and_not_the_draft(sqlite_url: str, tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    back_up(_file(sqlite_url), source)
    content = source.read_bytes()
    source.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))

    with pytest.raises(BackupFailed) as caught:
        back_up(source, tmp_path / "copy.db")

    assert caught.value.message.startswith(f"{source} cannot be copied: it is damaged; keep a copy of it")
    assert _names(tmp_path, "copy") == []


def test_a_disk_without_room_for_the_copy_is_that_of_the_copy(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> NoReturn:
        with contextlib.closing(sqlite3.connect(":memory:")) as small:
            small.execute("PRAGMA max_page_count = 1")
            small.execute("CREATE TABLE more (than INTEGER)")
        raise AssertionError("one page was enough")

    monkeypatch.setattr("chandlery.store.connection.backup._opened", full)
    with pytest.raises(BackupFailed) as caught:
        back_up(_file(sqlite_url), tmp_path / "copy.db")

    assert caught.value.message == f"{tmp_path / 'copy.db'} cannot be written: its disk is full"


def test_the_command_tells_where_the_keys_are(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "encryption-key").write_text("secret")
    ended = CliRunner().invoke(backup, ["--data-dir", str(tmp_path), str(tmp_path / "copy.db")])

    assert ended.exit_code == 0
    assert f"was copied to {tmp_path / 'copy.db'}" in ended.output
    assert f"Back up the encryption keys too ({tmp_path / 'encryption-key'}), in another place" in ended.output


def test_the_command_leaves_postgresql_to_its_own_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", "postgresql://u:hunter2@h/d?sslmode=require")
    ended = CliRunner().invoke(backup, ["copy.dump"])

    assert isinstance(ended.exception, Fault)
    assert ended.exception.message == (
        "PostgreSQL has its own backup tool: pg_dump --format=custom --file=copy.dump "
        "'postgresql://u@h:5432/d?sslmode=require'"
    )


def test_a_database_that_is_not_there_is_named(tmp_path: Path, keyring: Keyring) -> None:
    with pytest.raises(ConfigurationFault, match=r"the database file does not exist: .*/nothing\.db"):
        back_up(tmp_path / "nothing.db", tmp_path / "copy.db")
