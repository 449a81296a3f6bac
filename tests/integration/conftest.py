"""What every integration test may ask for: a migrated database of its own on either database, own names on the bus."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres_databases import PostgresDatabases, migrate_at, run_aside
from tests.support.selection import on_servers


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[PostgresDatabases]:
    """The maker of PostgreSQL databases, for fixtures with another scope than one test."""
    with PostgresDatabases(_required("CHANDLERY_TEST_DATABASE_URL", "PostgreSQL")) as databases:
        yield databases


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    run_aside(migrate_at(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database that only this test uses."""
    path = tmp_path / "chandlery.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A migrated PostgreSQL database that only this test uses."""
    url = postgres_databases.migrated()
    yield url
    postgres_databases.give_back(url)


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
