"""`chandlery doctor` on real databases: what is behind, stuck or left over is found, and nothing is changed."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.objects import kinds
from chandlery.process.commands.doctor.check import Result, State
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.schema import CIRCUITS, DATA_KEYS, LEASES, METADATA, OUTBOX, WORK_QUEUE
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.later_schema import expand
from tests.integration.store.samples import create, sample
from tests.integration.store.sealing.key_hall import insert_secret, process
from tests.support.doctor.doctor_runs import examined
from tests.support.waiting import eventually

NOW: Final = datetime.now(UTC)
KEY: Final = new_key("test")


def plain(url: str) -> str:
    """As an operator writes it."""
    return url.replace("+asyncpg", "")


def files_in(folder: Path) -> Mapping[str, bytes]:
    """All of them, with what is in them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def look(url: str, *only: str, **settings: Any) -> Mapping[str, Result]:
    given = {"encryption_keys": KEY, "amqp_url": "memory:", **settings}
    return await examined(*only, database_url=plain(url), **given)


async def look_in_peace(url: str, *only: str) -> Mapping[str, Result]:
    """The same, when nobody else has a transaction open: the change log is shown up to the oldest one of the server."""
    return await eventually(
        lambda: look(url, *only),
        lambda found: found["change-log"].state is not State.FAIL,
        what="the transactions of others on the server",
    )


@pytest_asyncio.fixture
async def at_work(database_url: str) -> AsyncIterator[Database]:
    """A database that a process has begun to work with."""
    async with process(database_url, KEY) as database:
        await database.run(lambda unit: unit.seals.check())
        await insert_secret(database, "login")
        yield database


async def test_a_sound_database_is_green_and_nothing_in_it_is_changed(
    at_work: Database, database_url: str, engine: AsyncEngine
) -> None:
    lease = {"name": "sweep", "owner": "up/a/1/x", "until": datetime.now(UTC) + timedelta(minutes=10)}
    async with engine.begin() as connection:
        await connection.execute(insert(LEASES).values(lease))
    before = await _everything(engine)

    found = await look_in_peace(database_url, "database", "keys", "work")

    assert {name: each for name, each in found.items() if each.state in (State.FAIL, State.SKIPPED)} == {}
    assert found["keys-match"].message == "the encryption keys are those of this database"
    assert found["data-keys"].message == "2 of 2 data keys were decrypted"
    assert await _everything(engine) == before


async def _everything(engine: AsyncEngine) -> Mapping[str, list[str]]:
    async with engine.connect() as connection:
        return {
            name: sorted(repr(tuple(row)) for row in await connection.execute(select(table)))
            for name, table in METADATA.tables.items()
        }


async def test_a_file_that_nobody_works_on_is_left_as_it_is(sqlite_url: str, tmp_path: Path) -> None:
    before = files_in(tmp_path)
    found = await look(sqlite_url)
    assert found["schema"].state is State.OK
    assert found["processes"].state is State.FAIL
    assert files_in(tmp_path) == before


async def test_a_database_that_is_empty_or_behind_needs_a_migration(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url, application_name="chandlery-test")
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
    await engine.dispose()
    found = await look(empty_database_url, "work", "schema")
    assert (found["schema"].state, found["schema"].remedy) == (State.FAIL, "run `chandlery migrate`")
    assert found["outbox"].state is State.SKIPPED
    assert found["outbox"].message == "the database has no schema yet"


async def test_an_older_and_a_later_schema_are_told_apart(database_url: str, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '2026_12_01_audit'"))
    behind = await look(database_url, "schema", "outbox")
    assert behind["schema"].message.startswith("the schema is at revision 2026_12_01_audit, this release needs ")
    assert behind["outbox"].state is State.OK
    async with engine.begin() as connection:
        await expand(connection)
    assert "of a later release" in (await look(database_url, "schema"))["schema"].message


async def test_a_table_that_is_missing_is_told_and_the_way_out(database_url: str, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE circuits"))
    found = (await look(database_url, "circuits"))["circuits"]
    assert (found.state, "run `chandlery migrate`" in found.message + found.remedy) == (State.FAIL, True)


async def test_what_is_stuck_late_or_left_over_is_found(
    at_work: Database, database_url: str, engine: AsyncEngine
) -> None:
    early = datetime.now(UTC) - timedelta(minutes=20)
    row = {"kind": "ServiceInstance", "lane": "broker:/demo", "memory": {}}
    async with engine.begin() as connection:
        await connection.execute(insert(OUTBOX).values(at=early, message="{}"))
        await connection.execute(insert(WORK_QUEUE).values(uid="due", due_at=early, **row))
        held = {"uid": "held", "lease_owner": "provisioner/a/1/x", "lease_until": early, **row}
        await connection.execute(insert(WORK_QUEUE).values(held))
        called = {
            "uid": "called",
            "lease_owner": "binder/a/1/x",
            "lease_until": datetime.now(UTC) + timedelta(minutes=9),
        }
        await connection.execute(insert(WORK_QUEUE).values(due_at=early, attempt=2, **called, **row))
        circuit = {"lane": "broker:/demo", "owner": "a", "opened_at": early, "message": "sealed:hunter2"}
        await connection.execute(insert(CIRCUITS).values(retry_at=datetime.now(UTC), **circuit))

    found = await look(database_url, "work")

    assert (found["outbox"].state, "the oldest for 20 min" in found["outbox"].message) == (State.FAIL, True)
    assert (found["backlog"].state, "1 ServiceInstance of demo for 20 min" in found["backlog"].message) == (
        State.FAIL,
        True,
    )
    assert (found["leases"].state, "provisioner/a/1/x (1, for 20 min)" in found["leases"].message) == (State.WARN, True)
    silence = "demo does not answer, or is slow: 1 object in hand, 1 of them again after a call that failed, the oldest"
    assert (found["broker-calls"].state, silence in found["broker-calls"].message) == (State.WARN, True)
    assert (found["circuits"].state, "demo for 20 min" in found["circuits"].message) == (State.WARN, True)
    assert (found["processes"].state, found["call-shares"].state) == (State.FAIL, State.UNUSED)
    assert "hunter2" not in str(found)


async def test_workers_that_are_more_than_a_service_broker_takes_calls_are_told(
    database_url: str, at_work: Database, engine: AsyncEngine
) -> None:
    spec = {"url": "http://127.0.0.1:1", "maxConcurrentRequests": 1}
    await create(at_work, sample(kinds.CLUSTER_SERVICE_BROKER, "demo", spec=spec))
    until = datetime.now(UTC) + timedelta(minutes=1)
    queues = ("provisioner.instance.reconcile", "binder.binding.reconcile")
    rows = [{"name": f"calls service brokers/p/{queue}", "owner": "p", "until": until} for queue in queues]
    async with engine.begin() as connection:
        await connection.execute(insert(LEASES), rows)
    found = (await look(database_url, "call-shares"))["call-shares"]
    assert (found.state, found.message) == (
        State.WARN,
        "2 workers make one call at a time each, which is more than is taken by demo (1)",
    )


async def test_a_database_that_is_not_there_skips_what_needs_it(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'gone.db'}", "postgresql://u:hunter2@127.0.0.1:1/d"):
        found = await look(url, "database", "keys", "work")
        assert found["database"].state is State.FAIL
        assert found["database"].remedy
        assert {found[name].message for name in ("schema", "grants", "outbox", "data-keys")} == {
            "the database cannot be reached"
        }
        assert "hunter2" not in str(found)
        assert [name for name, each in found.items() if each.state is State.FAIL and not each.remedy] == []
    assert files_in(tmp_path) == {}


async def test_a_change_that_watches_are_not_shown_is_told(postgresql_url: str, keyring: Keyring) -> None:
    engine = open_engine(postgresql_url, application_name="chandlery-test")
    database = Database(engine, keyring, clock=lambda: datetime.now(UTC) - timedelta(minutes=5))
    try:
        async with engine.begin() as holding:
            # A transaction that has a number, and stays open.
            await holding.execute(update(LEASES).values(owner=LEASES.c.owner))
            await holding.execute(text("SELECT pg_current_xact_id()"))
            await create(database, sample(kinds.NAMESPACE, "late"))
            found = (await look(postgresql_url, "change-log"))["change-log"]
        assert (found.state, "nothing new for 5 min" in found.message) == (State.FAIL, True)
        assert (await look_in_peace(postgresql_url, "change-log"))["change-log"].state is State.OK
    finally:
        await engine.dispose()


class TestKeys:
    """What is wrong with keys."""

    async def test_another_key_is_not_that_of_the_database(self, at_work: Database, database_url: str) -> None:
        found = await look(database_url, "keys", encryption_keys=new_key("other"))
        for name in ("keys-match", "data-keys"):
            assert (found[name].state, "which is not configured" in found[name].message) == (State.FAIL, True)
            assert "put the right key back" in found[name].remedy
        assert found["encryption-keys"].state is State.OK

    async def test_a_key_that_cannot_be_read_is_not_shown(self, at_work: Database, database_url: str) -> None:
        found = await look(database_url, "keys", encryption_keys="test:aHVudGVyMg==")
        assert found["encryption-keys"].state is State.FAIL
        assert found["data-keys"].message == "the encryption keys cannot be read"
        assert "aHVudGVyMg" not in str(found)

    async def test_what_a_lost_key_has_encrypted_is_counted(self, database_url: str, engine: AsyncEngine) -> None:
        async with process(database_url, KEY, starts=False) as database:
            await database.run(lambda unit: unit.seals.check())
            await insert_secret(database, "login")
        async with engine.begin() as connection:
            await connection.execute(delete(METADATA.tables["marks"]))
        found = await look(database_url, "sealed-data", "data-key-age", encryption_keys=f"{new_key('new')}")
        assert found["sealed-data"].state is State.FAIL
        assert found["sealed-data"].message.startswith("there is no key 'test', which has encrypted: secrets (1)")
        assert (found["data-key-age"].state, found["data-key-age"].remedy[-21:]) == (
            State.WARN,
            "chandlery keys rotate",
        )

    async def test_a_provider_that_is_away_is_told_once(
        self, database_url: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "none")
        row = {"purpose": "data", "provider": "aws-kms", "kek": "k", "wrapped": "eA==", "created_at": NOW}
        async with engine.begin() as connection:
            await connection.execute(insert(DATA_KEYS), [{"id": f"dk-{number}", **row} for number in range(30)])
        away = {"aws_kms_key_id": "k", "aws_kms_region": "eu-west-1", "aws_kms_endpoint_url": "http://127.0.0.1:1"}
        found = await look(database_url, "keys", encryption_keys="", encryption_providers="aws-kms", **away)
        assert found["key-providers"].state is State.FAIL
        assert found["key-providers"].message.startswith("aws-kms: AWS KMS cannot be reached")
        assert "check the settings of aws-kms" in found["key-providers"].remedy
        assert found["data-keys"].message.startswith("AWS KMS cannot be reached")

    async def test_a_key_that_is_missing_in_the_settings_is_told(self, database_url: str) -> None:
        found = await look(database_url, "settings", "keys", encryption_keys="")
        assert found["required-settings"].message == "not set: CHANDLERY_ENCRYPTION_KEYS"
        assert found["encryption-keys"].state is State.FAIL
