"""What every integration test may ask for: a migrated database of its own on either database, own names on the bus."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import make_url, text

from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migrate
from tests.support.selection import on_servers

T = TypeVar("T")


class PostgresDatabases:
    """Makes databases on the test server: a migrated one once, then copies of it, which take 30 ms each."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server)
        self._template = ""

    def url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def empty(self) -> str:
        """The URL of a new database without tables."""
        name = _name()
        _run(self._tell(f'CREATE DATABASE "{name}" TEMPLATE template0'))
        return self.url(name)

    def migrated(self) -> str:
        """The URL of a new database with the newest tables."""
        if not self._template:
            url = self.empty()
            _run(_migrate(url))
            self._template = _database_of(url)
        name = _name()
        _run(self._tell(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"'))
        return self.url(name)

    def drop(self, url: str) -> None:
        _run(self._tell(f'DROP DATABASE IF EXISTS "{_database_of(url)}" WITH (FORCE)'))

    def close(self) -> None:
        if self._template:
            self.drop(self.url(self._template))

    async def _tell(self, statement: str) -> None:
        engine = open_engine(self.url(self._server.database or ""), application_name="chandlery-test-databases")
        try:
            # Databases cannot be made or dropped inside a transaction.
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.execute(text(statement))
        finally:
            await engine.dispose()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[PostgresDatabases]:
    """The maker of PostgreSQL databases, for fixtures with another scope than one test."""
    databases = PostgresDatabases(_required("CHANDLERY_TEST_DATABASE_URL", "PostgreSQL"))
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database that only this test uses."""
    path = tmp_path / "chandlery.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A migrated PostgreSQL database that only this test uses; dropped afterwards."""
    url = postgres_databases.migrated()
    yield url
    postgres_databases.drop(url)


@pytest.fixture(params=["sqlite", on_servers("postgresql")])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn: a migrated database that only this test uses."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", on_servers("postgresql")])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Each database in turn: a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    url = databases.empty()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """The RabbitMQ server to test with."""
    return _required("CHANDLERY_TEST_AMQP_URL", "RabbitMQ")


@pytest.fixture
def amqp_prefix() -> str:
    """Starts all names of exchanges and queues, so that tests on one server do not meet."""
    return f"test-{uuid.uuid4().hex[:8]}-"


def _required(variable: str, server: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        pytest.fail(f"{variable} is not set: start {server} with `make services`, or name a server.", pytrace=False)
    return value


def _name() -> str:
    return f"chandlery_test_{uuid.uuid4().hex[:12]}"


def _database_of(url: str) -> str:
    return make_url(url).database or ""


async def _migrate(url: str) -> None:
    engine = open_engine(url, application_name="chandlery-test")
    try:
        await migrate(engine)
    finally:
        # A database with open connections cannot be copied, and a SQLite file only after its log is written back.
        await engine.dispose()


def _run(work: Coroutine[Any, Any, T]) -> T:
    # In a thread: fixtures may be set up while the test's own event loop runs.
    run: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, work).result()
