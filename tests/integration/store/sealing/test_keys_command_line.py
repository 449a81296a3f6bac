"""`chandlery keys` as operators run it: killed in the middle, run again, beside a process that is at work."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.keys import keys_command
from chandlery.process.commands.local_data_dir import kept_keys
from chandlery.store.database import Database
from chandlery.store.schema import AUDIT_EVENTS as A
from chandlery.store.schema import OBJECTS
from chandlery.store.sealing.sealing import new_key
from tests.integration.store import samples
from tests.integration.store.sealing.key_hall import insert_secret, marks, process

_COMMAND = [sys.executable, "-c", "from chandlery.process.commands.cli import main; main()", "keys"]


def _settings(url: str, keys: str) -> dict[str, str]:
    return {"CHANDLERY_DATABASE_URL": url, "CHANDLERY_ENCRYPTION_KEYS": keys}


def _started(word: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen([*_COMMAND, word], env=environment, stdout=subprocess.PIPE, text=True)


@dataclass
class Shell:
    """Runs the commands with the settings of the moment, in a thread: they bring an event loop of their own."""

    patch: pytest.MonkeyPatch

    async def run(self, word: str, url: str, keys: str, *options: str) -> Result:
        for name, value in _settings(url, keys).items():
            self.patch.setenv(name, value)
        return await asyncio.to_thread(CliRunner().invoke, keys_command.keys, [word, *options])


async def _insert(database: Database, first: int, count: int) -> None:
    for number in range(first, first + count):
        await insert_secret(database, f"login-{number}")


async def test_resealing_is_killed_in_the_middle_and_finished_by_the_next_run(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key("old"), new_key("new")
    async with process(database_url, old, starts=False) as before:
        await before.run(lambda unit: unit.seals.check())
        await _insert(before, 0, 30)
    url, keys = database_url.replace("+asyncpg", ""), f"{new},{old}"
    monkeypatch.setattr(keys_command, "configure_logs", lambda **_: None)
    run = Shell(monkeypatch).run
    refused = (await run("reseal", url, keys)).exception
    assert isinstance(refused, ConfigurationFault)
    assert refused.message == "there is no data key yet; make one first: chandlery keys rotate"
    assert "it is encrypted with keys/new" in (await run("rotate", url, keys)).output
    assert "old still decrypts 30 secrets" in (await run("list", url, keys)).output

    environment = {**os.environ, **_settings(url, keys)}
    cut = await asyncio.to_thread(_started, "reseal", environment)
    with cut:
        assert cut.stdout is not None
        assert (await asyncio.to_thread(cut.stdout.readline)).startswith("secrets: ")
        cut.kill()
    async with process(database_url, keys) as service:
        await _insert(service, 30, 2)
        again = await run("reseal", url, keys)
    assert "old is no longer used anywhere; remove it from CHANDLERY_ENCRYPTION_KEYS" in again.output
    assert "looked at" in again.output
    async with engine.connect() as connection:
        recorded = (await connection.execute(select(A.c.verb, A.c.username).order_by(A.c.name))).all()
    by = "system:chandlery:command"
    assert [tuple(row) for row in recorded] == [("rotate", by), ("reseal", by), ("reseal", by)]
    assert "old" not in set().union(*(await marks(engine)).values())
    assert (await run("list", url, new)).exit_code == 0
    wrong = (await run("list", url, new_key("other"))).exception
    assert isinstance(wrong, ConfigurationFault)
    assert "the encryption keys do not match the database" in wrong.message


async def test_keys_of_a_data_directory_are_found_in_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="there is no database of `chandlery up` in"):
        kept_keys(tmp_path)
    (tmp_path / "encryption-key").write_text(new_key("laptop"))
    (tmp_path / "encryption-key").chmod(0o600)
    (tmp_path / "chandlery.db").touch()
    assert kept_keys(tmp_path)["encryption_keys"].startswith("laptop:")


async def test_resealing_stores_nothing_in_plain_that_was_encrypted_unless_it_is_told_so(
    database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, key = database_url.replace("+asyncpg", ""), new_key("only")
    monkeypatch.setattr(keys_command, "configure_logs", lambda **_: None)
    run = Shell(monkeypatch).run
    async with process(database_url, key) as service:
        service.keyring.seals_specs = True
        await samples.create(service, samples.with_parameters(samples.instance("db"), password="hunter2"))

    async def is_plain() -> bool:
        async with engine.connect() as connection:
            return "hunter2" in str((await connection.execute(select(OBJECTS["ServiceInstance"].c.spec))).scalar_one())

    refused = (await run("reseal", url, key)).exception
    assert isinstance(refused, ConfigurationFault)
    assert "CHANDLERY_SEAL_SPECS is not set here" in refused.message
    assert not await is_plain()
    monkeypatch.setenv("CHANDLERY_SEAL_SPECS", "true")
    assert (await run("reseal", url, key)).exit_code == 0
    assert not await is_plain()
    monkeypatch.delenv("CHANDLERY_SEAL_SPECS")
    assert (await run("reseal", url, key, "--decrypt-specs")).exit_code == 0
    assert await is_plain()
