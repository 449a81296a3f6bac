"""The gateway as it is wired in production, on a real socket; on SQLite and on PostgreSQL, with the in-process bus.

Nothing relays the outbox and no worker runs, so that tests can look at what a request has left in the tables.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import chandlery_gateway.main as gateway_main
import pytest
from chandlery.runtime.composition import open_resources
from chandlery.runtime.resources import Resources
from chandlery.runtime.settings import Settings
from chandlery.store.engine import open_engine
from chandlery.store.migrate import migrate
from chandlery.store.schema import METADATA
from chandlery.store.sealing import new_key
from chandlery_gateway.main import Gateway
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.engine import make_url

from tests.integration.gateway.api_client import SOON, Api, Document, namespace

TOKEN = "token-of-the-administrator"
USERS = 'token-of-ann,ann,uid-of-ann,"developers,dba"\n'
_POSTGRESQL = os.environ.get("CHANDLERY_TEST_DATABASE_URL", "")


@dataclass
class Running:
    """A gateway that serves."""

    resources: Resources
    url: str
    stop: asyncio.Event
    serving: "asyncio.Task[None]"
    session: aiohttp.ClientSession
    api: Api
    connections: list[Any] = field(default_factory=list)

    def as_user(self, token: str | None) -> Api:
        return Api(self.session, token)

    async def rows(self, table: str) -> list[Document]:
        """All rows of a table."""
        engine = self.resources.database._engine
        async with engine.connect() as connection:
            found = await connection.execute(select(METADATA.tables[table]))
            return [dict(row) for row in found.mappings()]

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table has, to see that nothing was left behind."""
        return {table: len(await self.rows(table)) for table in METADATA.tables if table != "leases"}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    if request.param == "postgresql" and not _POSTGRESQL:
        pytest.skip("CHANDLERY_TEST_DATABASE_URL is not set")
    return str(request.param)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gateway") / "template.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgresql() -> Iterator[str]:
    """Name of a migrated database that tests copy."""
    name = f"gateway_template_{uuid.uuid4().hex[:8]}"
    asyncio.run(_administer(f"CREATE DATABASE {name}"))
    asyncio.run(_migrate(_with_database(name)))
    yield name
    asyncio.run(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def template(store: str, request: pytest.FixtureRequest) -> str:
    """What a test's database is a copy of: the path of a file, or the name of a database."""
    return str(request.getfixturevalue(f"migrated_{store}"))


@pytest.fixture
async def database_url(store: str, template: str, tmp_path: Path) -> AsyncIterator[str]:
    if store == "sqlite":
        shutil.copy(template, tmp_path / "chandlery.db")
        yield f"sqlite:///{tmp_path / 'chandlery.db'}"
        return
    name = f"gateway_{uuid.uuid4().hex[:12]}"
    await _administer(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _with_database(name)
    await _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    users = tmp_path / "users.csv"
    users.write_text(USERS)
    return Settings(
        database_url=SecretStr(database_url),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token=SecretStr(TOKEN),
        token_file=users,
        port=0,
        database_pool_size=5,
    )


@pytest.fixture
async def gateway(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A running gateway with a namespace `team`."""
    addresses: list[tuple[str, int]] = []
    listen = gateway_main.listen

    def listen_and_tell(host: str, port: int) -> Any:
        listener = listen(host, port)
        addresses.append(listener.getsockname())
        return listener

    monkeypatch.setattr(gateway_main, "listen", listen_and_tell)
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(settings, service="gateway"))
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(Gateway(resources).serve(stop, ready.set))
        stack.push_async_callback(_ended, stop, serving)
        async with asyncio.timeout(SOON):
            await asyncio.wait({serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        host, port = addresses[0]
        url = f"http://{host}:{port}"
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(url, connector=connector))
        running = Running(resources, url, stop, serving, session, Api(session, TOKEN))
        await running.api.made("/api/v1/namespaces", namespace("team"))
        yield running


@pytest.fixture
def api(gateway: Running) -> Api:
    return gateway.api


async def _ended(stop: asyncio.Event, serving: "asyncio.Task[None]") -> None:
    stop.set()
    async with asyncio.timeout(SOON):
        await serving


async def _migrate(url: str) -> None:
    engine = open_engine(url, application_name="test")
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


async def _administer(statement: str) -> None:
    connection = await asyncpg.connect(make_url(_POSTGRESQL).set(drivername="postgresql").render_as_string(False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_database(name: str) -> str:
    return make_url(_POSTGRESQL).set(database=name).render_as_string(hide_password=False)
