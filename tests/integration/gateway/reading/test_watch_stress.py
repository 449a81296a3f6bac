"""A thousand concurrent writers and fifty watchers, on two gateways where the database allows it.

Every watcher has to be told exactly what the change log says, in its order: no gap, nothing twice, nothing swapped.
The writers are transactions as those of workers are: they go past the gateways, and commit in any order.
"""

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import orjson
import pytest
import pytest_asyncio

from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.sealing import Keyring
from tests.integration.gateway.api_client import TEAM, Api, Document, names
from tests.integration.gateway.conftest import Running, serving
from tests.support.selection import IS_BRIEF

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

WRITERS = {"postgresql": 300 if IS_BRIEF else 1000, "sqlite": 100 if IS_BRIEF else 300}
"""Where there is one transaction at a time, more of them prove nothing more."""
WATCHERS = 50
CONNECTIONS = {"postgresql": 10, "sqlite": 1}
"""Of each way to write. Writers queue up for them before the pool, which would give them up after a while."""
LONGEST_PAUSE_SECONDS = 0.01
"""Of a transaction before its end, so that others overtake it."""
PATIENCE_SECONDS = 120.0
BINDINGS = f"{TEAM}/servicebindings"
LAST = {"web": "last-of-web", "db": "last-of-db", None: "last-of-db"}
"""What a watcher of the tier waits for; they are written in this order."""

Told = tuple[int, str, str]
"""Position, verb and name."""


@dataclass
class Watcher:
    """Follows a selection; some change to another gateway now and then."""

    apis: Sequence[Api]
    tier: str | None
    hops: bool
    told: list[Told] = field(default_factory=list)

    async def run(self, version: str, began: asyncio.Semaphore) -> None:
        for api in itertools.cycle(self.apis):
            if await self._watch(api, str(self.told[-1][0]) if self.told else version, began):
                return

    async def _watch(self, api: Api, version: str, began: asyncio.Semaphore) -> bool:
        """Whether the last change came."""
        query = {"resourceVersion": version} | ({"labelSelector": f"tier={self.tier}"} if self.tier else {})
        async with api.watch(BINDINGS, **query) as watch:
            began.release()
            rest = b""
            async for chunk in watch.response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    notice: Document = orjson.loads(line)
                    metadata = notice["object"]["metadata"]
                    assert notice["type"] in ("ADDED", "MODIFIED", "DELETED"), notice
                    self.told.append((int(metadata["resourceVersion"]), notice["type"], metadata["name"]))
                    if metadata["name"] == LAST[self.tier]:
                        return True
                    if self.hops and len(self.told) % 200 == 0:
                        return False
        return False


@pytest_asyncio.fixture(loop_scope="session")
async def gateways(own_gateway: Running, store: str) -> AsyncIterator[list[Running]]:
    """Two on PostgreSQL; there is only one process on SQLite."""
    async with AsyncExitStack() as stack:
        running = [own_gateway]
        if store == "postgresql":
            running.append(await stack.enter_async_context(serving(own_gateway.resources.settings)))
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def databases(own_gateway: Running, store: str) -> AsyncIterator[list[Database]]:
    """Ways to write beside the gateways, as two workers have them; on SQLite all share one connection."""
    if store == "sqlite":
        yield [own_gateway.resources.database]
        return
    settings = own_gateway.resources.settings
    url, keyring = settings.database_url.get_secret_value(), Keyring.parse(settings.encryption_keys.get_secret_value())
    engines = [open_engine(url, application_name="chandlery-test", pool_size=CONNECTIONS[store]) for _ in range(2)]
    yield [Database(engine, keyring) for engine in engines]
    for engine in engines:
        await engine.dispose()


async def test_no_watcher_misses_repeats_or_swaps_anything(
    gateways: list[Running], databases: list[Database], store: str
) -> None:
    apis = [gateway.api for gateway in gateways]
    version = (await apis[0].read(BINDINGS))["metadata"]["resourceVersion"]
    tiers = (None, "web", None, "db")
    watchers = [
        Watcher([*apis[number % len(apis) :], *apis], tiers[number % len(tiers)], hops=number % 5 == 0)
        for number in range(WATCHERS)
    ]
    began = asyncio.Semaphore(0)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        for watcher in watchers:
            group.create_task(watcher.run(version, began))
        for _ in watchers:
            await began.acquire()
        commits = await _write(databases, store)

    log = await _log(gateways[0], int(version))
    assert [position for (position, _, _), _ in log] == sorted(commits)
    if store == "postgresql":
        assert commits != sorted(commits), "no transaction overtook another: this run has proved nothing"
    for watcher in watchers:
        expected = [told for told, tier in log if watcher.tier in (None, tier)]
        assert watcher.told == expected, f"a watcher of {watcher.tier or 'everything'}"
    assert names(await apis[-1].read(BINDINGS)) == _left(log)


async def _write(databases: Sequence[Database], store: str) -> list[int]:
    """All writers at once, then the last words; returns positions in the order of their commits."""
    commits: list[int] = []
    choices = random.Random(4)
    ways = [(database, asyncio.Semaphore(CONNECTIONS[store])) for database in databases]

    async def write(number: int) -> None:
        database, free = ways[number % len(ways)]
        pause = choices.uniform(0, LONGEST_PAUSE_SECONDS) if store == "postgresql" else 0
        async with free:
            commits.extend(await database.run(partial(_live, number=number, pause=pause)))

    await asyncio.gather(*(write(number) for number in range(WRITERS[store])))
    for last in (_binding(LAST["web"], "web"), _binding(LAST["db"], "db")):
        commits += await databases[0].run(partial(_insert, binding=last))
    return commits


async def _live(unit: UnitOfWork, *, number: int, pause: float) -> list[int]:
    """One writer's transaction: it creates an object; half of them change it, and half of those remove it."""
    created = await unit.objects.insert(_binding(f"b-{number:04}", "web" if number % 2 else "db"))
    written = [created]
    if number % 4 < 2:
        assert isinstance(created, ServiceBinding)
        spec = created.spec.model_copy(update={"secret_name": "another"})
        written.append(await unit.objects.update(created, created.model_copy(update={"spec": spec})))
    if number % 8 < 2:
        written.append(await unit.objects.remove(written[-1]))
    await asyncio.sleep(pause)
    return [int(each.metadata.resource_version or 0) for each in written]


async def _insert(unit: UnitOfWork, binding: ServiceBinding) -> list[int]:
    return [int((await unit.objects.insert(binding)).metadata.resource_version or 0)]


def _binding(name: str, tier: str) -> ServiceBinding:
    metadata = ObjectMeta(
        name=name,
        namespace="team",
        uid=str(uuid.uuid4()),
        creation_timestamp=datetime.now(UTC),
        generation=1,
        labels={"tier": tier},
    )
    return ServiceBinding(metadata=metadata, spec=ServiceBindingSpec(instance_ref=LocalObjectReference(name="db")))


async def _log(gateway: Running, after: int) -> list[tuple[Told, str]]:
    """What the log says of bindings, in order, and the tier of each."""
    rows = [row for row in await gateway.rows("changes") if row["kind"] == "ServiceBinding" and row["position"] > after]
    told = [
        ((row["position"], row["verb"], row["name"]), row["object"]["metadata"]["labels"]["tier"])
        for row in sorted(rows, key=lambda row: int(row["position"]))
    ]
    positions = [each[0] for each, _ in told]
    assert len(set(positions)) == len(positions)
    return told


def _left(log: Sequence[tuple[Told, str]]) -> list[str]:
    """The names of what is there in the end, by the log."""
    left: set[str] = set()
    for (_, verb, name), _ in log:
        if verb == "DELETED":
            left.remove(name)
        else:
            left.add(name)
    return sorted(left)
