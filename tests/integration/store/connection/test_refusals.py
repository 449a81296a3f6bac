"""What a person has to see to is told in one sentence and not waited for; what helps itself is."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chandlery.model.faults import Refused, Unavailable
from chandlery.process.schema_waits import prepare_schema, run_migrations
from chandlery.settings.settings import load_settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.migrate import migrate
from chandlery.store.sealing.sealing import Keyring
from machine.ports import LOOPBACK
from tests.integration.store.connection.private_postgres import PgBouncer, PrivatePostgres
from tests.integration.store.samples import create_one, instance


@pytest.fixture(scope="module")
def pooler(postgres: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    started = postgres.pooler(tmp_path_factory.mktemp("pooler"))
    yield started
    started.close()


def _urls(postgres: PrivatePostgres) -> dict[str, str]:
    return {
        "wrong password": postgres.url().replace("hunter2", "hunter3"),
        "no such user": postgres.url("stranger"),
        "no such database": postgres.url(database="missing"),
        "access rules": postgres.url("tls_only", query="sslmode=disable"),
        "no rights": postgres.url("nobody", query="options=-c%20search_path%3Dclosed"),
        "no schema": postgres.url(query="options=-c%20search_path%3Dnowhere"),
        "certificate": postgres.url(host="localhost", query=f"sslmode=verify-full&sslrootcert={postgres.authority}"),
        "server setting": postgres.url(query="options=-c%20no_such_setting%3D1"),
    }


@pytest.mark.parametrize(
    ("what", "words", "is_setting"),
    [
        ("wrong password", 'password authentication failed for user "owner"; check the user and the password', True),
        ("no such user", 'password authentication failed for user "stranger"; check the user and the password', True),
        ("no such database", 'database "missing" does not exist; create it, or correct its name', True),
        ("access rules", "pg_hba.conf rejects connection", True),
        ("no rights", 'permission denied for schema closed; see docs/operations.md, "Roles and grants"', False),
        ("no schema", "no schema has been selected to create in; create the schema", True),
        ("certificate", "Hostname mismatch, certificate is not valid for 'localhost'; check sslrootcert", True),
        ("server setting", 'unrecognized configuration parameter "no_such_setting"; correct options', True),
    ],
)
async def test_a_refusal_of_postgresql_ends_the_start_with_one_sentence(
    postgres: PrivatePostgres, what: str, words: str, is_setting: bool
) -> None:
    url = _urls(postgres)[what]
    engine = open_engine(url, application_name="chandlery-test")
    try:
        async with asyncio.timeout(60):
            with pytest.raises(Refused) as raised:
                await prepare_schema(engine, migrates=True)
    finally:
        await engine.dispose()

    message = raised.value.message
    assert words in message
    assert f"{LOOPBACK}:{postgres.port}" in message or f"localhost:{postgres.port}" in message
    assert raised.value.is_setting is is_setting
    assert "hunter" not in message
    assert "\n" not in message


async def test_a_server_that_is_not_of_the_kind_asked_for_may_become_so(postgres: PrivatePostgres) -> None:
    engine = open_engine(postgres.url(query="target_session_attrs=standby"), application_name="chandlery-test")
    try:
        with pytest.raises(Unavailable) as raised:
            await migrate(engine)
    finally:
        await engine.dispose()

    assert not isinstance(raised.value, Refused)
    where = f"{LOOPBACK}:{postgres.port}"
    wanted = "target_session_attrs in CHANDLERY_DATABASE_URL asks for"
    assert raised.value.message == f"the database at {where} is not what {wanted}"


async def test_a_pooler_that_is_not_told_of_is_named(pooler: PgBouncer) -> None:
    engine = open_engine(pooler.url, application_name="chandlery-test")
    with pytest.raises(Refused, match="behind a pooler set CHANDLERY_DATABASE_PREPARED_STATEMENTS=false"):
        await migrate(engine)
    await engine.dispose()


async def test_a_role_without_grants_is_refused_at_work_too(postgres: PrivatePostgres, keyring: Keyring) -> None:
    owner = open_engine(postgres.url(query="options=-c%20search_path%3Dshop"), application_name="chandlery-test")
    await migrate(owner)
    await owner.dispose()
    postgres.tell("GRANT USAGE ON SCHEMA shop TO nobody")
    nobody = open_engine(postgres.url("nobody", query="options=-c%20search_path%3Dshop"), application_name="test")
    database = Database(nobody, keyring)
    try:
        with pytest.raises(Refused, match=r"^the database refuses the connection: permission denied for table"):
            await create_one(database, instance("refused"))
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "missing" / "file.db", "cannot be opened; its folder must exist"),
        (
            lambda folder: _written(folder / "text.db", b"no database " * 1000),
            "is not a SQLite database, or its beginning is damaged",
        ),
    ],
    ids=["no folder", "no database"],
)
async def test_a_refusal_of_sqlite_ends_the_start_with_one_sentence(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    file = make(tmp_path)
    engine = open_engine(f"sqlite:///{file}", application_name="chandlery-test")
    async with asyncio.timeout(60):
        with pytest.raises(Refused) as raised:
            await prepare_schema(engine, migrates=True)
    await engine.dispose()

    assert raised.value.message.startswith(f"the database file {file} cannot be used: ")
    assert words in raised.value.message


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_a_server_that_is_away_is_waited_for_as_long_as_is_asked() -> None:
    with socket.create_server((LOOPBACK, 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    settings = load_settings(database_url=f"postgresql://u:hunter2@{LOOPBACK}:{port}/d")

    with pytest.raises(Unavailable) as raised:
        await run_migrations(settings, seconds=1.5)

    assert raised.value.message == (
        "the migration was not done within 1.5 s: "
        f"the database at {LOOPBACK}:{port} cannot be reached: Connection refused"
    )
    assert not isinstance(raised.value, Refused)
