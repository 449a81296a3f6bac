"""libpq's parameters in the database's URL mean what they mean everywhere, on a real server with TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chandlery.model.faults import ConfigurationFault, Unavailable
from chandlery.process.http.tls_files import self_signed
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import migrate
from chandlery.store.roles.database_roles import RolePlan
from chandlery.store.sealing.sealing import Keyring
from machine.ports import LOOPBACK
from tests.integration.store.connection.private_postgres import PrivatePostgres
from tests.integration.store.samples import NOON, create_one, get_instance, instance, remove, update, with_parameters
from tests.support.scale.filling import Filling, fill
from tests.support.scale.hot_paths import MEASURED, Ground

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"
IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    engine = open_engine(url, application_name="chandlery-test")
    try:
        async with asyncio.timeout(60), engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _ask(url: str, question: str) -> Any:
    async with _connected(url) as connection:
        return (await connection.execute(text(question))).scalar()


@pytest.mark.parametrize(
    ("query", "is_tls"),
    [
        ("", True),
        ("sslmode=disable", False),
        ("sslmode=allow", False),
        ("sslmode=prefer", True),
        ("sslmode=require", True),
        ("ssl=true", True),
        ("sslmode=verify-ca&sslrootcert={authority}", True),
        ("sslmode=verify-full&sslrootcert={authority}", True),
        ("sslmode=require&ssl_min_protocol_version=TLSv1.3", True),
    ],
)
async def test_tls_is_used_as_the_url_says(postgres: PrivatePostgres, query: str, is_tls: bool) -> None:
    assert await _ask(postgres.url(query=query.format(authority=postgres.authority)), IS_TLS) is is_tls


@pytest.mark.parametrize(("user", "is_tls"), [("tls_only", True), ("plain_only", False)])
@pytest.mark.parametrize("mode", ["allow", "prefer"])
async def test_the_other_way_is_tried_where_the_mode_leaves_both(
    postgres: PrivatePostgres, user: str, is_tls: bool, mode: str
) -> None:
    assert await _ask(postgres.url(user, query=f"sslmode={mode}"), IS_TLS) is is_tls


async def test_a_certificate_is_checked_against_the_authority_that_is_named(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(self_signed("other")[0])

    with pytest.raises(ssl.SSLCertVerificationError):
        await _ask(postgres.url(query=f"sslmode=verify-ca&sslrootcert={other}"), IS_TLS)


async def test_the_name_in_a_certificate_counts_for_verify_full_alone(postgres: PrivatePostgres) -> None:
    lenient = postgres.url(host="localhost", query=f"sslmode=verify-ca&sslrootcert={postgres.authority}")
    strict = postgres.url(host="localhost", query=f"sslmode=verify-full&sslrootcert={postgres.authority}")

    assert await _ask(lenient, IS_TLS) is True
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        await _ask(strict, IS_TLS)


async def test_the_machines_own_authorities_can_be_asked_for(
    postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url(query="sslmode=verify-full&sslrootcert=system")
    with pytest.raises(ssl.SSLCertVerificationError):
        await _ask(url, IS_TLS)

    monkeypatch.setenv("SSL_CERT_FILE", str(postgres.authority))

    assert await _ask(url, IS_TLS) is True


async def test_a_client_certificate_is_a_login(postgres: PrivatePostgres) -> None:
    files = f"sslcert={postgres.client_certificate}&sslkey={postgres.client_key}"

    assert await _ask(postgres.url("client", query=f"sslmode=require&{files}"), "SELECT current_user") == "client"


async def test_a_server_without_tls_is_refused_where_tls_is_required(postgresql_url: str) -> None:
    engine = open_engine(f"{postgresql_url}?sslmode=require", application_name="chandlery-test")
    with pytest.raises(Unavailable, match="does not support TLS, but sslmode in CHANDLERY_DATABASE_URL requires it"):
        await migrate(engine)


@pytest.mark.parametrize(
    ("query", "question", "answer"),
    [
        ("application_name=shop", "SHOW application_name", "shop"),
        ("fallback_application_name=shop", "SHOW application_name", "shop"),
        ("", "SHOW application_name", "chandlery-test"),
        ("options=-c%20search_path%3Dshop", "SHOW search_path", "shop"),
        ("options=-c%20work_mem%3D5MB%20-c%20jit%3Don", "SHOW jit", "on"),
        ("", "SHOW jit", "off"),
        ("", "SHOW idle_in_transaction_session_timeout", "1min"),
        ("client_encoding=UTF8", "SHOW client_encoding", "UTF8"),
        ("target_session_attrs=read-write", "SELECT 1", 1),
        ("target_session_attrs=primary", "SELECT 1", 1),
        ("target_session_attrs=prefer-standby", "SELECT 1", 1),
        ("connect_timeout=0", "SELECT 1", 1),
        ("user=tls_only", "SELECT current_user", "tls_only"),
        ("dbname=postgres", "SELECT current_database()", "postgres"),
    ],
)
async def test_a_parameter_reaches_the_session(
    postgres: PrivatePostgres, query: str, question: str, answer: object
) -> None:
    assert await _ask(postgres.url(query=query), question) == answer


async def test_a_password_can_be_in_a_file_and_a_server_in_a_service(
    postgres: PrivatePostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords, services = tmp_path / "pgpass", tmp_path / "services"
    passwords.write_text(f"{LOOPBACK}:{postgres.port}:*:owner:hunter2\n")
    passwords.chmod(0o600)
    services.write_text(f"[shop]\nhost={LOOPBACK}\nport={postgres.port}\nuser=owner\ndbname=chandlery\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))

    by_file = f"postgresql://owner@{LOOPBACK}:{postgres.port}/chandlery?passfile={passwords}"
    by_service = f"postgresql://?service=shop&passfile={passwords}"

    assert await _ask(by_file, "SELECT current_user") == "owner"
    assert await _ask(by_service, "SELECT current_user") == "owner"


async def test_the_first_of_several_hosts_that_answers_in_time_is_taken(postgres: PrivatePostgres) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent, socket.create_server((LOOPBACK, 0)) as closed_soon:
        closed = closed_soon.getsockname()[1]
        closed_soon.close()
        hosts = f"{LOOPBACK}:{closed},{LOOPBACK}:{silent.getsockname()[1]},{LOOPBACK}:{postgres.port}"
        url = f"postgresql://owner:hunter2@{hosts}/chandlery?connect_timeout=1"

        assert await _ask(url, "SELECT current_user") == "owner"
        assert await _ask(f"{url}&load_balance_hosts=random", "SELECT current_user") == "owner"


async def test_a_host_that_is_not_what_is_asked_for_is_passed_over(postgres: PrivatePostgres) -> None:
    hosts = f"{LOOPBACK}:{postgres.port},{LOOPBACK}:{postgres.port}"
    url = f"postgresql://owner:hunter2@{hosts}/chandlery"

    assert await _ask(f"{url}?target_session_attrs=prefer-standby", "SELECT 1") == 1
    with pytest.raises(Exception, match="target attribute"):
        await _ask(f"{url}?target_session_attrs=standby", "SELECT 1")


async def test_a_line_is_kept_alive_as_the_url_says(postgres: PrivatePostgres) -> None:
    query = "keepalives_idle=31&keepalives_interval=7&keepalives_count=3&tcp_user_timeout=9000"
    async with _connected(postgres.url(query=query)) as connection:
        raw = await connection.get_raw_connection()
        line = raw.driver_connection._transport.get_extra_info("socket")  # type: ignore[union-attr]

        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 31
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 9000


async def test_all_tables_can_be_in_a_schema_of_their_own(postgres: PrivatePostgres, keyring: Keyring) -> None:
    engine = open_engine(postgres.url(query="options=-c%20search_path%3Dshop"), application_name="chandlery-test")
    database = Database(engine, keyring, clock=lambda: NOON)
    try:
        await migrate(engine)
        await create_one(database, instance("shopping"))
        async with engine.connect() as connection:
            schemas = await connection.execute(
                text("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'owner'")
            )
            assert schemas.scalars().all() == ["shop"]
    finally:
        await database.close()


async def test_transactions_find_their_way_through_a_pooler(
    postgres: PrivatePostgres, keyring: Keyring, tmp_path: Path
) -> None:
    pooler = postgres.pooler(tmp_path)
    engine = open_engine(pooler.url, application_name="chandlery-test", pool_size=12, prepares=False)
    database = Database(engine, keyring, clock=lambda: NOON)
    try:
        await migrate(engine)

        async def write_and_read(number: int) -> bool:
            made = await create_one(database, instance(f"pooled-{number}"))
            return await get_instance(database, made.metadata.name) == made

        async with asyncio.timeout(60):
            assert all(await asyncio.gather(*(write_and_read(number) for number in range(60))))
    finally:
        await database.close()
        pooler.close()


async def test_what_is_done_all_the_time_needs_no_session(
    postgres: PrivatePostgres, keyring: Keyring, tmp_path: Path
) -> None:
    pooler, filling = postgres.pooler(tmp_path), Filling(instances=200, brokers=2, changes=3_000)
    engine = open_engine(pooler.url, application_name="chandlery-test", prepares=False)
    database = Database(engine, keyring)
    try:
        await migrate(engine)
        async with engine.begin() as connection:
            # Of other tests, where the filling puts its own.
            await connection.execute(text("TRUNCATE changes"))
        await fill(database, engine, filling)
        for do in MEASURED.values():
            # Two at a time, so that a transaction does not always get the connection of the one before.
            others = (database.run(lambda unit: unit.changes.horizon()) for _ in range(3))
            await asyncio.gather(do(Ground(database, filling, 7)), *others)
    finally:
        await database.close()
        pooler.close()


async def test_the_roles_and_grants_of_the_documents_are_enough(postgres: PrivatePostgres, keyring: Keyring) -> None:
    [as_superuser] = _documented_sql("### Roles and grants")
    postgres.tell(*as_superuser)
    owner = open_engine(_login(postgres, "grocer_owner", "migrates"), application_name="chandlery-test")
    database = Database(
        open_engine(_login(postgres, "grocer_gateway", "serves"), application_name="chandlery-test"),
        keyring,
        clock=lambda: NOON,
    )
    try:
        # A login without CREATEROLE, and roles that are there.
        await migrate(owner, roles=RolePlan(prefix="grocer", makes=True))

        made = await create_one(database, instance("granted"))
        await remove(database, await update(database, made, with_parameters(made, size=2)))
    finally:
        await owner.dispose()
        await database.close()


def _login(postgres: PrivatePostgres, role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@{LOOPBACK}:{postgres.port}/grocer"


def _documented_sql(heading: str) -> list[list[str]]:
    """The statements of each block of SQL below the heading, for names that are not taken on the server."""
    section = OPERATIONS.read_text().partition(f"{heading}\n")[2].partition("\n### ")[0]
    blocks = [part.partition("```")[0] for part in section.split("```sql\n")[1:]]
    assert blocks, f"docs/operations.md has no SQL below {heading!r}"
    return [
        [part.strip().replace("chandlery", "grocer") for part in block.split(";") if part.strip()] for block in blocks
    ]


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslcrl", "passfile"])
def test_a_file_that_is_not_there_is_named_before_anything_is_waited_for(name: str) -> None:
    with pytest.raises(ConfigurationFault, match=f"{name} /nowhere/at/all cannot be read"):
        open_engine(f"postgresql://u:hunter2@h/d?{name}={quote('/nowhere/at/all')}", application_name="test")


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no certificate")

    with pytest.raises(ConfigurationFault, match="contains no PEM certificates"):
        open_engine(f"postgresql://h/d?sslrootcert={path}", application_name="test")
    with pytest.raises(ConfigurationFault, match="cannot be used together"):
        open_engine(f"postgresql://h/d?sslcert={path}&sslkey={path}", application_name="test")


def test_a_service_that_its_file_does_not_have_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))

    with pytest.raises(ConfigurationFault, match=r"which .* does not define"):
        open_engine("postgresql://?service=shop", application_name="test")
