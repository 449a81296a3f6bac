"""The roles on a real PostgreSQL: each may do its work, and is refused what is not its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from chandlery.engine.upkeep.seal_keeping import reseal
from chandlery.model.faults import Forbidden, Refused
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.process.commands.migrate_command import migrate as migrate_command
from chandlery.process.schema_waits import run_migrations
from chandlery.settings.settings import load_settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import migrate
from chandlery.store.roles.database_roles import RolePlan, keep_roles, roles_sql
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.postgres_databases import PostgresDatabases
from tests.integration.store.samples import create, create_one, instance, meta, remove, update, with_parameters
from tests.support.database_roles import drop_roles, role_logins


@dataclass(frozen=True)
class Roles:
    """A database with roles, and how each of them gets in."""

    owner: str
    plan: RolePlan
    urls: Mapping[str, str]

    async def does(self, role: str, statement: str) -> Any:
        """One statement as the role, rolled back; answers what it returns."""
        engine = open_engine(self.urls.get(role, self.owner), application_name="chandlery-test")
        try:
            async with engine.connect() as connection:
                found = await connection.execute(text(statement))
                return found.scalar() if found.returns_rows else found.rowcount
        finally:
            await engine.dispose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def roles(postgres_databases: PostgresDatabases) -> AsyncIterator[Roles]:
    """Made by a migration, and given logins."""
    url = await asyncio.to_thread(postgres_databases.migrated)
    plan = RolePlan(prefix=make_url(url).database or "", makes=True)
    engine = open_engine(url, application_name="chandlery-test")
    await migrate(engine, roles=plan)
    await engine.dispose()
    yield Roles(url, plan, await role_logins(url, plan.prefix))
    await asyncio.to_thread(postgres_databases.drop, url)
    await drop_roles(postgres_databases.url("postgres"), plan.prefix)


FORBIDDEN = [
    ("gateway", "UPDATE serviceinstances SET status = '{}'"),
    ("gateway", "UPDATE servicebindings SET status = '{}'"),
    ("gateway", "UPDATE clusterservicebrokers SET status = '{}'"),
    ("gateway", "UPDATE changes SET object = '{}'"),
    ("provisioner", "UPDATE serviceinstances SET generation = 2"),
    ("provisioner", "UPDATE servicebindings SET spec = '{}'"),
    ("provisioner", "UPDATE servicebindings SET status = '{}'"),
    ("provisioner", "UPDATE secrets SET spec = '{}'"),
    ("provisioner", "DELETE FROM secrets"),
    ("provisioner", "UPDATE clusterserviceplans SET spec = '{}'"),
    ("binder", "UPDATE servicebindings SET spec = '{}'"),
    ("binder", "UPDATE serviceinstances SET status = '{}'"),
    ("binder", "DELETE FROM serviceinstances"),
    ("binder", "SELECT * FROM rolebindings"),
    ("syncer", "UPDATE serviceinstances SET spec = '{}'"),
    ("syncer", "UPDATE serviceinstances SET status = '{}'"),
    ("syncer", "UPDATE clusterservicebrokers SET spec = '{}'"),
    ("syncer", "UPDATE clusterrolebindings SET spec = '{}'"),
    *(
        (role, statement)
        for role in ("gateway", "provisioner", "binder", "syncer")
        for statement in (
            "CREATE TABLE mine (x int)",
            "ALTER TABLE serviceinstances ADD COLUMN mine int",
            "DROP TABLE events",
            "TRUNCATE changes",
            "UPDATE alembic_version SET version_num = 'mine'",
            "CREATE ROLE mine",
            "ALTER TABLE serviceinstances DISABLE TRIGGER ALL",
        )
    ),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("role", "statement"), FORBIDDEN)
async def test_what_is_not_its_duty_is_refused_to_each_role(roles: Roles, role: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner") as refused:
        await roles.does(role, statement)
    assert getattr(refused.value.orig, "sqlstate", "") == "42501"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_gateway_writes_all_but_the_status(roles: Roles, keyring: Keyring) -> None:
    database = Database(open_engine(roles.urls["gateway"], application_name="chandlery-test"), keyring)
    try:
        made = await create_one(database, instance("served"))
        assert isinstance(made, ServiceInstance)
        assert made.status == ServiceInstance.model_fields["status"].default
        changed = await update(database, made, with_parameters(made, size=2))
        assert isinstance(changed, ServiceInstance)
        reported = changed.model_copy(update={"status": changed.status.model_copy(update={"dashboard_url": "x"})})
        with pytest.raises(Forbidden, match=r'"served" is forbidden: the status is written by Chandlery alone'):
            await update(database, changed, reported)
        await remove(database, changed)
    finally:
        await database.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_only_whoever_may_write_secrets_seals_them_anew(roles: Roles, keyring: Keyring) -> None:
    newer = Keyring([*Keyring.parse(new_key("newer"))._by_name.values(), *keyring._by_name.values()])
    owner = Database(open_engine(roles.owner, application_name="chandlery-test"), keyring)
    await owner.run(lambda unit: unit.seals.check())
    await create(owner, Secret(metadata=meta("to-be-sealed-anew"), data={"a": "Yg=="}))
    await owner.close()
    sealed = "SELECT spec ->> 'sealed' FROM secrets WHERE name = 'to-be-sealed-anew'"
    for role in ("provisioner", "binder"):
        assert not (await roles.does("owner", sealed)).startswith("newer:")
        database = Database(open_engine(roles.urls[role], application_name="chandlery-test"), newer)
        await reseal(database, owner=role)
        await database.close()
    assert (await roles.does("owner", sealed)).startswith("newer:")


ROW = "INSERT INTO serviceinstances (uid, name, namespace, resource_version, created_at, spec)"
SPEC = '{"a": {"x": 1, "y": 2}}'
GUARDED = [
    ('{"a": {"x": 1, "y": 2}, "clusterServicePlanRef": {"name": "p"}}', True),
    ('{"a": {"y":2,"x":1}}', True),
    ('{"clusterServicePlanRef": {"name": "p"}, "a": {"x": 1, "y": 3}}', False),
    ('{"clusterServicePlanRef": {"name": "p"}}', False),
    ('{"a": {"x": 1, "y": 2}, "b": "\\\\u0000"}', False),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("spec", "is_allowed"), GUARDED)
async def test_of_a_spec_the_provisioner_writes_references_alone(roles: Roles, spec: str, is_allowed: bool) -> None:
    engine = open_engine(roles.owner, application_name="chandlery-test")
    try:
        async with engine.connect() as connection:
            # Seen by nobody else: all is rolled back.
            await connection.exec_driver_sql(f"{ROW} VALUES ('u', 'n', 's', 1, now(), '{SPEC}')")
            await connection.exec_driver_sql(f'SET LOCAL ROLE "{roles.plan.prefix}_provisioner"')
            written = connection.exec_driver_sql(f"UPDATE serviceinstances SET spec = '{spec}' WHERE uid = 'u'")
            if is_allowed:
                await written
            else:
                with pytest.raises(DBAPIError, match="permission denied for the spec in table serviceinstances"):
                    await written
    finally:
        await engine.dispose()


@pytest.mark.asyncio(loop_scope="module")
async def test_roles_are_made_once_and_put_in_order_by_every_migration(roles: Roles) -> None:
    gateway = f'"{roles.plan.prefix}_gateway"'
    engine = open_engine(roles.owner, application_name="chandlery-test")
    told: list[str] = []
    try:
        await migrate(engine, roles=roles.plan, say=told.append)
        assert told == ["roles and grants are as they should be"]

        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"GRANT UPDATE ON serviceinstances TO {gateway}")
            await connection.exec_driver_sql(f"REVOKE INSERT ON changes FROM {gateway}")
        told.clear()
        await migrate(engine, roles=RolePlan(prefix=roles.plan.prefix), say=told.append)
        assert told == [f"the grants of {roles.plan.prefix}_gateway were brought to what this release needs"]
        with pytest.raises(DBAPIError, match="permission denied"):
            await roles.does("gateway", "UPDATE serviceinstances SET status = '{}'")

        async with engine.begin() as connection:
            by_hand = roles_sql(roles.plan).removeprefix("BEGIN;").removesuffix("COMMIT;\n")
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute(by_hand)  # type: ignore[union-attr]
            assert await connection.run_sync(keep_roles, roles.plan) == ["roles and grants are as they should be"]
    finally:
        await engine.dispose()


async def test_a_migration_without_being_asked_makes_no_roles(postgresql_url: str) -> None:
    told: list[str] = []
    settings = load_settings(database_url=postgresql_url, database_role_prefix=make_url(postgresql_url).database)

    await run_migrations(settings, say=told.append)

    assert told == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_login_that_may_make_no_roles_is_told_the_way_out(roles: Roles) -> None:
    engine = open_engine(roles.owner, application_name="chandlery-test")
    plan = RolePlan(prefix=f"{roles.plan.prefix}_other", makes=True)
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f'SET LOCAL ROLE "{roles.plan.prefix}_syncer"')
            with pytest.raises(Refused, match="may not make roles; use one that has CREATEROLE"):
                await connection.run_sync(keep_roles, plan)
    finally:
        await engine.dispose()


def test_the_command_says_that_sqlite_has_no_roles(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", sqlite_url)

    done = CliRunner().invoke(migrate_command, ["--roles"])

    assert "SQLite has no roles" in f"{done.output}{done.exception}"


def test_the_command_prints_the_sql_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_DATABASE_ROLE_PREFIX", "grocer")

    done = CliRunner().invoke(migrate_command, ["--roles", "--sql"])

    assert done.exit_code == 0
    assert 'GRANT SELECT ON TABLE alembic_version TO "grocer_binder"' in done.output


@pytest.mark.parametrize("options", [["--roles", "--check"], ["--roles", "--sql", "--from", "2026_11_22"]])
def test_options_that_make_no_sense_together_are_refused(options: list[str]) -> None:
    done = CliRunner().invoke(migrate_command, options)

    assert done.exit_code == 2
