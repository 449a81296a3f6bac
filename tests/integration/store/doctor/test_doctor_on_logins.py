"""`chandlery doctor` on PostgreSQL with logins of several sorts: passwords, certificates, several hosts, grants."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import make_url, text

from chandlery.process.commands.doctor.check import Result, State
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.roles.database_roles import RolePlan
from chandlery.store.roles.grants import Role
from chandlery.store.sealing.sealing import new_key
from tests.integration.postgres_databases import PostgresDatabases
from tests.integration.store.connection.private_postgres import PrivatePostgres
from tests.support.authority import Authority
from tests.support.database_roles import drop_roles, role_logins
from tests.support.doctor.doctor_runs import examined


async def look(url: str, *only: str, **settings: Any) -> Mapping[str, Result]:
    url = url.replace("+asyncpg", "")
    return await examined(*only, database_url=url, amqp_url="memory:", encryption_keys=new_key("k"), **settings)


async def test_tls_and_login_are_told_with_the_server_s_certificate(postgres: PrivatePostgres) -> None:
    url = postgres.url(query=f"sslmode=verify-full&sslrootcert={postgres.authority}")
    found = await look(url, "database", "certificates", "database-tls")
    assert "lets owner in over TLSv1.3" in found["database"].message
    assert found["database-certificate"].message.startswith("the certificate of the database at 127.0.0.1:")
    assert found["database-certificate"].state is State.OK
    assert (found["authorities"].state, str(postgres.authority) in found["authorities"].message) == (State.OK, True)


async def test_a_wrong_password_is_told_and_not_shown(postgres: PrivatePostgres) -> None:
    found = await look(postgres.url().replace("hunter2", "hunter3"), "database")
    assert found["database"].state is State.FAIL
    assert "password authentication failed" in found["database"].message
    assert found["database"].remedy == "check the user and the password in CHANDLERY_DATABASE_URL"
    assert "hunter3" not in str(found)


async def test_an_authority_that_does_not_fit_is_told(postgres: PrivatePostgres, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").certificate
    found = await look(postgres.url(query=f"sslmode=verify-ca&sslrootcert={other}"), "database")
    assert "the certificate of the database at" in found["database"].message
    assert "check sslrootcert" in found["database"].remedy


async def test_a_client_certificate_that_has_expired_is_told_before_anybody_is_asked(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path).issue("client", is_expired=True)
    url = postgres.url(query=f"sslmode=require&sslcert={certificate}&sslkey={key}")
    found = await look(url, "database", "client-certificates", "private-files")
    for name in ("database", "client-certificates"):
        assert (found[name].state, "expired on" in found[name].message) == (State.FAIL, True)
    assert found["private-files"].state is State.OK
    key.chmod(0o604)
    found = await look(url, "private-files")
    assert (found["private-files"].state, str(key) in found["private-files"].remedy) == (State.WARN, True)


async def test_a_host_that_does_not_answer_is_told_although_another_one_does(postgres: PrivatePostgres) -> None:
    url = postgres.url(host="127.0.0.1:1,127.0.0.1")
    found = await look(url, "database")
    assert found["database"].state is State.OK
    assert found["database-hosts"].state is State.WARN
    assert "no answer from 1 of 2 hosts" in found["database-hosts"].message
    assert "127.0.0.1:1 cannot be reached: Connection refused" in found["database-hosts"].message


@dataclass(frozen=True)
class Roles:
    """A database with a role for each service."""

    owner: str
    prefix: str
    urls: Mapping[str, str]

    async def tell(self, statement: str) -> None:
        """As the owner."""
        engine = open_engine(self.owner, application_name="chandlery-test")
        async with engine.begin() as connection:
            await connection.execute(text(statement.format(gateway=f'"{self.prefix}_gateway"')))
        await engine.dispose()

    async def grants(self, role: str, service: Role | None = None) -> Result:
        found = await look(self.urls[role], "grants", database_role_prefix=self.prefix, service=service)
        return found["grants"]


@pytest_asyncio.fixture
async def roles(postgres_databases: PostgresDatabases) -> AsyncIterator[Roles]:
    url = await asyncio.to_thread(postgres_databases.migrated)
    plan = RolePlan(prefix=make_url(url).database or "", makes=True)
    engine = open_engine(url, application_name="chandlery-test")
    await migrate(engine, roles=plan)
    await engine.dispose()
    yield Roles(url, plan.prefix, await role_logins(url, plan.prefix))
    await asyncio.to_thread(postgres_databases.drop, url)
    await drop_roles(postgres_databases.url("postgres"), plan.prefix)


@pytest.mark.servers
async def test_a_role_is_told_what_it_lacks_and_what_it_has_too_much(roles: Roles) -> None:
    for role in roles.urls:
        found = await roles.grants(role)
        assert found.message == f"{roles.prefix}_{role} may do what the {role} needs, and no more"
    assert (await roles.grants("binder", "gateway")).state is State.FAIL

    await roles.tell("REVOKE INSERT ON changes FROM {gateway}")
    lacking = await roles.grants("gateway")
    assert lacking.message == f"{roles.prefix}_gateway lacks what the gateway needs: INSERT on changes"
    assert (lacking.state, lacking.remedy) == (
        State.FAIL,
        "run `chandlery migrate --roles` as the owner of the tables",
    )

    await roles.tell("GRANT INSERT ON changes TO {gateway}")
    await roles.tell("GRANT UPDATE (object) ON changes TO {gateway}")
    more = await roles.grants("gateway")
    assert (more.state, "UPDATE on changes.object" in more.message) == (State.WARN, True)

    await roles.tell("REVOKE USAGE ON SEQUENCE outbox_id_seq FROM {gateway}")
    assert "USAGE on outbox_id_seq" in (await roles.grants("gateway")).message
