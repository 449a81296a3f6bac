"""A database with a clock that tests set, and a second process on the same database where one is needed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.store.connection.private_postgres import PrivatePostgres, private_postgres
from tests.integration.store.samples import NOON

OpenDatabase = Callable[[str], Database]


@dataclass
class SetClock:
    """Shows the time that the test has set."""

    now: datetime = field(default=NOON)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.parse(new_key("test"))


@pytest.fixture
async def open_database(keyring: Keyring, clock: SetClock) -> AsyncIterator[OpenDatabase]:
    """Opens one more connection pool, as another process would."""
    async with AsyncExitStack() as opened:

        def open_one(url: str) -> Database:
            engine = open_engine(url, application_name="chandlery-test", pool_size=20)
            database = Database(engine, keyring, clock=clock)
            opened.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
def database(database_url: str, open_database: OpenDatabase) -> Database:
    """Each database in turn."""
    return open_database(database_url)


@pytest.fixture
def postgresql(postgresql_url: str, open_database: OpenDatabase) -> Database:
    """For what only a database with concurrent writers can do."""
    return open_database(postgresql_url)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The way around the store, to look at what is really in the tables of `database`."""
    engine = open_engine(database_url, application_name="chandlery-test-look")
    yield engine
    await engine.dispose()


@pytest.fixture
async def empty_engine(empty_database_url: str) -> AsyncIterator[AsyncEngine]:
    """A database without tables on each database."""
    engine = open_engine(empty_database_url, application_name="chandlery-test")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivatePostgres]:
    """A server of the tests' own, with TLS and logins of several sorts."""
    with private_postgres(tmp_path_factory.mktemp("private")) as server:
        server.tell(
            "CREATE ROLE tls_only LOGIN PASSWORD 'hunter2'",
            "CREATE ROLE plain_only LOGIN PASSWORD 'hunter2'",
            "CREATE ROLE client LOGIN",
            "CREATE ROLE nobody LOGIN PASSWORD 'hunter2'",
            "CREATE SCHEMA shop AUTHORIZATION owner",
            "CREATE SCHEMA closed AUTHORIZATION owner",
            "GRANT USAGE ON SCHEMA closed TO nobody",
        )
        server.allow(
            "hostnossl all tls_only 127.0.0.1/32 reject",
            "hostssl all plain_only 127.0.0.1/32 reject",
            "hostssl all client 127.0.0.1/32 cert map=certificates",
        )
        yield server
