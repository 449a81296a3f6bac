"""The gateway as it is wired in production, on a real socket; on SQLite and on PostgreSQL, with the in-process bus.

Nothing relays the outbox and no worker runs, so that tests can look at what a request has left in the tables.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import literal, null, select, union_all

from chandlery.engine.readiness import unless
from chandlery.engine.resources import Resources
from chandlery.model.objects.kinds import KINDS, RBAC_KINDS, Kind
from chandlery.process.composition import open_resources
from chandlery.process.http import http_server
from chandlery.settings.settings import Settings
from chandlery.store.schema import EXTERNAL_IDS, METADATA, OBJECTS, OUTBOX, WORK_QUEUE
from chandlery.store.sealing.sealing import new_key
from chandlery_gateway import main as gateway_main
from chandlery_gateway.main import GATEWAY, Gateway
from tests.integration.gateway.api_client import Api, Document, namespace
from tests.integration.postgres_databases import PostgresDatabases
from tests.support.selection import on_servers
from tests.support.waiting import SOON, eventually

TOKEN = "token-of-the-administrator"
USERS = 'token-of-ann-the-developer,ann,uid-of-ann,"developers,dba"\n'


_OURS = "chandlery-tests/kept"
_KEPT = {_OURS, "kubernetes.io/bootstrapping"}
_ROLES = union_all(
    *(
        select(literal(kind.kind), table.c.namespace if kind.namespaced else null(), table.c.name, table.c.labels)
        for kind in RBAC_KINDS
        for table in [OBJECTS[kind.kind]]
    )
)
_CLEARED = (
    *(OBJECTS[kind.kind] for kind in KINDS.values() if kind not in RBAC_KINDS),
    WORK_QUEUE,
    EXTERNAL_IDS,
    OUTBOX,
)
_CLEARING = "".join(["BEGIN;", *(f"DELETE FROM {table.name};" for table in _CLEARED), "COMMIT;"])


@dataclass
class Running:
    """A gateway that serves."""

    resources: Resources
    stop: asyncio.Event
    serving: "asyncio.Task[None]"
    session: aiohttp.ClientSession
    api: Api

    def as_user(self, token: str | None) -> Api:
        return Api(self.session, token)

    async def rows(self, table: str) -> list[Document]:
        """All rows of a table."""
        engine = self.resources.database._engine
        async with engine.connect() as connection:
            found = await connection.execute(select(METADATA.tables[table]))
            return [dict(row) for row in found.mappings()]

    async def settled(self) -> None:
        """Wait until all that was written is below the horizon: others on the server may hold it up for a moment."""
        newest = max((row["position"] for row in await self.rows("changes")), default=0)
        run = self.resources.database.run
        await eventually(
            lambda: run(lambda unit: unit.changes.horizon()), lambda seen: newest < seen, what="the horizon"
        )

    async def clear(self) -> None:
        """Remove all objects and what is to be done about them, but for the roles that a gateway begins with."""
        for kind, namespace_name, name in await self._roles_of_tests():
            # Not behind the back of the gateway, which has them in memory.
            place = f"namespaces/{namespace_name}/" if namespace_name else ""
            await self.api.delete(f"/apis/{kind.api_version}/{place}{kind.plural}/{name}")
        async with self.resources.database._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            # All at once: this is done before each of a thousand tests.
            await (driver.executescript if connection.dialect.name == "sqlite" else driver.execute)(_CLEARING)

    async def _roles_of_tests(self) -> list[tuple[Kind, str, str]]:
        engine = self.resources.database._engine
        async with engine.connect() as connection:
            rows = await connection.execute(_ROLES)
            return [
                (KINDS[kind], namespace_name or "", name)
                for kind, namespace_name, name, labels in rows
                if _KEPT.isdisjoint(labels or ())
            ]

    async def give_ann_everything(self) -> None:
        """Let the user of the token file do what an administrator may: most tests are about other things."""
        path = "/apis/rbac.authorization.k8s.io/v1"
        metadata = {"name": "ann-may-do-everything", "labels": {_OURS: "true"}}
        rules = [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
        await self.api.made(f"{path}/clusterroles", {"metadata": metadata, "rules": rules})
        group = "rbac.authorization.k8s.io"
        binding = {
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "ann"}],
        }
        await self.api.made(f"{path}/clusterrolebindings", {"metadata": metadata, **binding})

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table has, to see that nothing was left behind; but for what every request leaves."""
        growing = ("leases", "audit_events", "audit_subjects")
        return {table: len(await self.rows(table)) for table in METADATA.tables if table not in growing}


@pytest.fixture(scope="session", params=["sqlite", on_servers("postgresql")])
def store(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_url(request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database of the gateway that most tests share."""
    with migrated_url(request, store, tmp_path_factory) as url:
        yield url


@pytest.fixture
def own_url(request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of the test's own."""
    with migrated_url(request, store, tmp_path_factory) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_gateway(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with serving(_settings(shared_url, tmp_path_factory)) as running:
        await running.give_ann_everything()
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(shared_gateway: Running, store: str) -> Running:
    """A running gateway with no objects but a namespace `team`. Only the change log remembers other tests."""
    # A module that overrides `store` leaves its gateway to the next one: parameters are given with `indirect`.
    assert shared_gateway.resources.database._engine.dialect.name == store
    await shared_gateway.clear()
    await shared_gateway.api.made("/api/v1/namespaces", namespace("team"))
    return shared_gateway


@pytest_asyncio.fixture(loop_scope="session")
async def own_gateway(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A gateway of the test's own, to break or to stop."""
    async with serving(_settings(own_url, tmp_path_factory)) as running:
        await running.give_ann_everything()
        await running.api.made("/api/v1/namespaces", namespace("team"))
        yield running


@pytest.fixture
def api(gateway: Running) -> Api:
    return gateway.api


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """A gateway on a free port, as `chandlery run gateway` wires it."""
    addresses: list[tuple[str, int]] = []
    listen = http_server.listen

    def listen_and_tell(host: str, port: int) -> Any:
        listener = listen(host, port)
        addresses.append(listener.getsockname())
        return listener

    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(
            open_resources(settings, service="gateway", migrates=True, without_bus=GATEWAY.goes_on_without_bus)
        )
        stop, ready = asyncio.Event(), asyncio.Event()
        with pytest.MonkeyPatch.context() as patch:
            resources.readiness.add("shutdown", unless(stop.is_set, "it is stopping and accepts no new work"))
            patch.setattr(gateway_main, "listen", listen_and_tell)
            running = asyncio.create_task(Gateway(resources).serve(stop, ready.set))
            stack.push_async_callback(_ended, stop, running)
            await first_of(running, ready.wait())
        host, port = addresses[0]
        session = aiohttp.ClientSession(f"http://{host}:{port}", connector=aiohttp.TCPConnector(limit=0))
        await stack.enter_async_context(session)
        yield Running(resources, stop, running, session, Api(session, TOKEN))


async def first_of(running: "asyncio.Task[None]", awaited: Coroutine[Any, Any, Any]) -> None:
    """Wait until the awaited happens; raise what ends the running task before that."""
    waiting = asyncio.create_task(awaited)
    await asyncio.wait({running, waiting}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    assert waiting.done(), "it takes too long"


def _settings(url: str, folder: pytest.TempPathFactory) -> Settings:
    users = folder.mktemp("users") / "users.csv"
    users.write_text(USERS)
    return Settings(
        database_url=SecretStr(url),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token=SecretStr(TOKEN),
        token_file=users,
        port=0,
        database_pool_size=5,
    )


@contextmanager
def migrated_url(request: pytest.FixtureRequest, store: str, folders: pytest.TempPathFactory) -> Iterator[str]:
    if store == "sqlite":
        path = folders.mktemp("gateway") / "chandlery.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    url = databases.migrated()
    yield url
    databases.give_back(url)


async def _ended(stop: asyncio.Event, serving: "asyncio.Task[None]") -> None:
    stop.set()
    async with asyncio.timeout(SOON):
        await serving
