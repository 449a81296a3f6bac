"""`chandlery restore`: a copy takes the place of a lost database, checked before, and held after."""

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.backups.restore_command import restore
from chandlery.store.connection.backup import BackupFailed, back_up
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.store.samples import create_one, get_instance, instance, position_of

KEY = new_key("laptop")


def _database(file: Path) -> Database:
    engine = open_engine(f"sqlite:///{file}", application_name="chandlery-test")
    return Database(engine, Keyring.parse(KEY))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of `chandlery up` that has lost its database."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    (path / "encryption-key").write_text(KEY)
    (path / "encryption-key").chmod(0o600)
    return path


@pytest.fixture
def backup(sqlite_url: str, tmp_path: Path) -> Path:
    """A copy with one instance, sealed with the key of the folder."""
    copy, source = tmp_path / "copy.db", Path(sqlite_url.removeprefix("sqlite:///"))

    async def fill() -> None:
        database = _database(source)
        await database.data_keys.start()
        await database.run(lambda unit: unit.seals.check())
        await create_one(database, instance("kept"))
        await database.close()

    asyncio.run(fill())
    back_up(source, copy)
    return copy


def _run(backup: Path, folder: Path, *options: str) -> str:
    done = CliRunner().invoke(restore, [str(backup), "--data-dir", str(folder), *options])
    if done.exception:
        raise done.exception
    return done.output


def _look(file: Path) -> tuple[bool, str | None, int]:
    """Whether the instance is there, since when work is held, and the position of the next one."""

    async def look() -> tuple[bool, str | None, int]:
        database = _database(file)
        found = await get_instance(database, "kept")
        since = await database.run(lambda unit: unit.restored.hold.since())
        number = position_of(await create_one(database, instance("next")))
        await database.close()
        return found is not None, since, number

    return asyncio.run(look())


def test_a_restored_copy_is_private_held_and_gives_out_new_numbers(backup: Path, folder: Path) -> None:
    said = _run(backup, folder)
    target = folder / "chandlery.db"
    assert "was restored" in said
    assert "chandlery reconcile release" in said
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    is_there, since, number = _look(target)
    assert is_there
    assert since is not None
    assert number > 2**32 * 65536
    assert [path.name for path in folder.iterdir() if "restor" in path.name] == []


def test_a_move_to_another_machine_is_not_held(backup: Path, folder: Path) -> None:
    _run(backup, folder, "--no-hold")
    is_there, since, number = _look(folder / "chandlery.db")
    assert is_there
    assert since is None
    assert number < 2**32


def test_what_is_there_is_kept_and_only_replaced_when_asked(backup: Path, folder: Path) -> None:
    target = folder / "chandlery.db"
    shutil.copy(backup, target)
    target.chmod(0o600)
    with sqlite3.connect(target) as connection:
        connection.execute("INSERT INTO marks VALUES ('older', 'yes')")
    connection.close()
    before = target.read_bytes()

    with pytest.raises(ConfigurationFault, match="does not replace a database unasked"):
        _run(backup, folder)
    assert target.read_bytes() == before

    assert "What was there before is" in _run(backup, folder, "--replace")
    (kept,) = folder.glob("chandlery.db.before-restore-*Z")
    with sqlite3.connect(kept) as connection:
        assert connection.execute("SELECT value FROM marks WHERE name = 'older'").fetchone() == ("yes",)
    connection.close()


def test_a_database_that_a_process_works_on_is_left_alone(backup: Path, folder: Path) -> None:
    target = folder / "chandlery.db"
    shutil.copy(backup, target)
    target.chmod(0o600)
    with sqlite3.connect(target) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM marks").fetchone()
        with pytest.raises(ConfigurationFault, match=r"a process works on .*chandlery\.db: stop it first"):
            _run(backup, folder, "--replace")
    connection.close()
    assert list(folder.glob("*before-restore*")) == []
    assert list(folder.glob(".*restoring*")) == []


@pytest.mark.parametrize("damage", ["within", "no database", "another program's"])
def test_a_copy_that_is_no_good_changes_nothing(backup: Path, folder: Path, damage: str) -> None:
    content = backup.read_bytes()
    if damage == "within":
        backup.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))
    elif damage == "no database":
        backup.write_bytes(b"something else " * 1000)
    else:
        backup.unlink()
        with sqlite3.connect(backup) as connection:
            connection.execute("CREATE TABLE things (name)")
        connection.close()

    with pytest.raises(
        (BackupFailed, ConfigurationFault), match=r"damaged|not a SQLite database|no database of Chandlery"
    ) as refused:
        _run(backup, folder)
    # Nobody has looked at what the copy was made of.
    assert "made of" not in str(refused.value)

    assert not (folder / "chandlery.db").exists() or (folder / "chandlery.db").stat().st_size == 0
    assert list(folder.glob(".*restoring*")) == []


def test_a_copy_of_other_keys_is_refused(backup: Path, folder: Path) -> None:
    (folder / "encryption-key").write_text(new_key("laptop"))
    with pytest.raises(Fault, match="encryption keys do not match"):
        _run(backup, folder)
    assert (folder / "chandlery.db").stat().st_size == 0


def test_a_lost_key_is_asked_for_by_its_name(backup: Path, folder: Path) -> None:
    (folder / "encryption-key").unlink()
    with pytest.raises(ConfigurationFault, match=r"put it back as .*encryption-key"):
        _run(backup, folder)


def test_for_postgresql_the_command_tells_the_way(backup: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", "postgresql://db.example.com/chandlery")
    done = CliRunner().invoke(restore, [str(backup)])
    assert isinstance(done.exception, ConfigurationFault)
    assert "pg_restore" in done.exception.message
    assert "chandlery migrate" in done.exception.message
