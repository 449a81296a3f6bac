"""The two ways to run the platform: all in one process on SQLite, or a process per service on PostgreSQL and RabbitMQ.

The processes are tasks of one event loop, each with connections of its own, wired by `runtime.process` as ever. Only
the sweep is quicker, so that pauses of milliseconds are kept to.
"""

import asyncio
import csv
import io
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
from pydantic import SecretStr
from sqlalchemy import delete, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts import topology
from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.engine.resources import Resources
from chandlery.process.choices.bus_choice import IN_PROCESS_BUS
from chandlery.process.ending import Ending
from chandlery.process.http.http_server import listen
from chandlery.process.process import _run
from chandlery.process.schema_waits import run_migrations
from chandlery.process.service import Service
from chandlery.reconcile.reconcile_result import broker_key
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.schema import INTERESTS, OBJECTS, OUTBOX, WORK_QUEUE
from chandlery.store.sealing.sealing import new_key
from chandlery_binder.main import BINDER
from chandlery_gateway.main import GATEWAY
from chandlery_provisioner.main import PROVISIONER
from chandlery_syncer.main import SYNCER
from tests.support.database_roles import ARE_ASKED_FOR, drop_roles, role_logins
from tests.support.waiting import SOON

REPLICAS = int(os.environ.get("CHANDLERY_TEST_REPLICAS", "1"))
"""Processes of each worker on servers; of several, there are two gateways."""
_MOST_GATEWAYS = 2
SWEEP_SECONDS = 0.2
_NEVER_SECONDS = 3600.0
_PATIENCE = 1_000

DATABASE_VARIABLE, AMQP_VARIABLE = "CHANDLERY_TEST_DATABASE_URL", "CHANDLERY_TEST_AMQP_URL"
USERS = {"ann": ("developers", "dba"), "bob": (), "eve": tuple(f"group-{number:03}-of-many" for number in range(30))}
"""Whom the gateway knows beside the administrator, with their groups; `token_of` has the token of each.

All may do everything.
"""
ADMINISTRATOR = "token-of-the-administrator"


def token_of(name: str) -> str:
    """As long as a token has to be."""
    return f"token-of-{name}-of-the-team"


@dataclass
class Process:
    """One operating-system process, as far as the others can tell."""

    services: Sequence[Service]
    settings: Settings
    migrates: bool = True
    resources: Resources | None = None
    _ending: Ending | None = None
    _running: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Returns when all services of the process work."""
        ready = asyncio.Event()
        name = "+".join(service.name for service in self.services)
        self._ending = Ending(name, seconds=self.settings.shutdown_seconds)
        services = [*self.services, _observer(self._note)]
        self._running = asyncio.create_task(
            _run(services, self.settings, name, self._ending, migrates=self.migrates, on_ready=ready.set)
        )
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self._running}, timeout=SOON, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running
        assert ready.is_set(), f"{name} does not get ready"

    async def stop(self) -> None:
        """The clean end, as after SIGTERM."""
        if self._running is None:
            return
        assert self._ending is not None
        self._ending.stop.set()
        async with asyncio.timeout(SOON):
            await self._running
        self._running = None

    def _note(self, resources: Resources) -> None:
        self.resources = resources


@dataclass
class PlatformBackend:
    """One whole platform."""

    name: str
    urls: Sequence[str]
    """Where each gateway answers."""
    processes: Sequence[Process]
    owner_url: str = ""
    """With database roles, the login that may do everything: for the tests alone."""

    async def start(self) -> None:
        for process in self.processes:
            await process.start()

    async def stop(self) -> None:
        for process in reversed(self.processes):
            await process.stop()

    async def restart(self) -> None:
        """End all processes cleanly and start them again, on what they left in the database."""
        await self.stop()
        await self.start()

    async def clear(self) -> None:
        """Remove all objects and what is to be done about them. The change log remembers."""
        for _ in range(_PATIENCE):
            # A worker may write the same rows in another order at this moment: whoever waits for it here gives way.
            with suppress(DBAPIError):
                async with self._opened() as engine, engine.begin() as connection:
                    if connection.dialect.name == "postgresql":
                        await connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
                    for table in (WORK_QUEUE, INTERESTS, *OBJECTS.values(), OUTBOX):
                        await connection.execute(delete(table))
                return
        raise AssertionError("the tables cannot be cleared")

    async def is_at_rest(self, *, within: timedelta) -> bool:
        """Whether nothing is in hand, nothing waits for the bus, and nothing is due within so much time."""
        assert self.processes[0].resources is not None
        now = await self.processes[0].resources.database.run(_now)
        busy = WORK_QUEUE.c.lease_owner.is_not(None) | (WORK_QUEUE.c.due_at < now + within)
        async with self._engine.connect() as connection:
            rows = await connection.scalar(select(func.count()).select_from(WORK_QUEUE).where(busy))
            messages = await connection.scalar(select(func.count()).select_from(OUTBOX))
        return not rows and not messages

    @property
    def _engine(self) -> AsyncEngine:
        resources = self.processes[0].resources
        assert resources is not None
        return resources.database._engine

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[AsyncEngine]:
        if not self.owner_url:
            yield self._engine
            return
        engine = open_engine(self.owner_url, application_name="chandlery-test")
        try:
            yield engine
        finally:
            await engine.dispose()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[PlatformBackend]:
    """What `chandlery up` runs: one process, SQLite, the in-process bus."""
    port = _free_port()
    settings = _settings(folder, port, f"sqlite:///{folder / 'chandlery.db'}", IN_PROCESS_BUS)
    processes = [Process([GATEWAY, PROVISIONER, BINDER, SYNCER], settings)]
    async with _running(PlatformBackend("embedded", [_address(port)], processes)) as backend:
        yield backend


@asynccontextmanager
async def servers(folder: Path, lanes: Callable[[], Sequence[str]]) -> AsyncIterator[PlatformBackend]:
    """What a cluster runs: a process per service, PostgreSQL, RabbitMQ. `lanes` are the brokers' names to clean up."""
    server, amqp_url = os.environ[DATABASE_VARIABLE], os.environ[AMQP_VARIABLE]
    database, prefix = f"conformance_{uuid.uuid4().hex[:12]}", f"conformance-{uuid.uuid4().hex[:8]}-"
    await _administer(server, f"CREATE DATABASE {database} TEMPLATE template0")
    # Nothing here outlives a crash of the server, and a commit need not wait for the disk.
    await _administer(server, f"ALTER DATABASE {database} SET synchronous_commit = off")
    url = make_url(server).set(database=database).render_as_string(hide_password=False)
    ports = [_free_port() for _ in range(min(REPLICAS, _MOST_GATEWAYS))]
    base = _settings(folder, ports[0], url, amqp_url, amqp_prefix=prefix, database_role_prefix=database)
    await run_migrations(base, makes_roles=ARE_ASKED_FOR)
    # The first to come has the lease of the sweep, and keeps it.
    others = base.model_copy(update={"sweep_seconds": _NEVER_SECONDS})
    processes = [Process([each], others) for each in (PROVISIONER, BINDER, SYNCER) for _ in range(REPLICAS)]
    processes[0].settings = base
    processes += [Process([GATEWAY], others.model_copy(update={"port": port})) for port in ports]
    if ARE_ASKED_FOR:
        await _give_roles(processes, url, database)
    platform = PlatformBackend("servers", [_address(port) for port in ports], processes, url if ARE_ASKED_FOR else "")
    try:
        async with _running(platform) as backend:
            yield backend
    finally:
        await _remove_names(amqp_url, prefix, lanes())
        await _administer(server, f"DROP DATABASE {database} WITH (FORCE)")
        await drop_roles(server, database)


async def _give_roles(processes: Sequence[Process], owner_url: str, prefix: str) -> None:
    """Let each process connect as the role of its service, which may not migrate."""
    urls = await role_logins(owner_url, prefix)
    for process in processes:
        [service] = process.services
        process.settings = process.settings.model_copy(update={"database_url": SecretStr(urls[service.name])})
        process.migrates = False


@asynccontextmanager
async def _running(backend: PlatformBackend) -> AsyncIterator[PlatformBackend]:
    try:
        await backend.start()
        yield backend
    finally:
        await backend.stop()


def _settings(folder: Path, port: int, database_url: str, amqp_url: str, **given: Any) -> Settings:
    table = io.StringIO()
    may = "system:masters"
    rows = [(token_of(name), name, f"uid-of-{name}", ",".join((*groups, may))) for name, groups in USERS.items()]
    csv.writer(table).writerows(rows)
    users = folder / "users.csv"
    users.write_text(table.getvalue())
    return Settings(
        database_url=SecretStr(database_url),
        amqp_url=SecretStr(amqp_url),
        encryption_keys=SecretStr(new_key("conformance")),
        token=SecretStr(ADMINISTRATOR),
        token_file=users,
        port=port,
        cluster_id="conformance-cluster",
        sweep_seconds=SWEEP_SECONDS,
        database_pool_size=5,
        # So that a call that is still held when all ends is given back, as if its process had died.
        shutdown_seconds=0.2,
        rotation_grace_seconds=0.2,
        shortest_poll_seconds=0.001,
        shortest_retry_seconds=0.001,
        **given,
    )


def _observer(note: Callable[[Resources], None]) -> Service:
    """A service that does nothing but hand out the adapters of its process."""

    class Observer:
        def __init__(self, resources: Resources) -> None:
            note(resources)

        async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
            ready()
            await stop.wait()

    return Service(name="observer", summary="", build=Observer)


async def _now(unit: Any) -> Any:
    return unit.now


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _free_port() -> int:
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    listener.close()
    return port


async def _administer(server: str, statement: str) -> None:
    url = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _remove_names(url: str, prefix: str, brokers: Sequence[str]) -> None:
    lanes = [UNRESOLVED_LANE, *(broker_key(None, name) for name in brokers)]
    queues = {topology.work_queue(kind, lane) for kind in topology.WORK_QUEUES for lane in lanes}
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        dead_letters: Mapping[str, str] = getattr(topology, "DEAD_LETTER_QUEUES", {"": "chandlery.dead-letters"})
        for queue in (*queues, *dead_letters.values()):
            await channel.queue_delete(prefix + queue)
        for exchange in (topology.COMMANDS_EXCHANGE, topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
            await channel.exchange_delete(prefix + exchange)
