"""Objects to store, and the few steps that every store test is made of."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Executable, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import LoggedChange
from chandlery.store.objects.object_reads import Listing
from chandlery.store.schema import METADATA
from tests.support.waiting import SOON, eventually

NOON = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
Write = Callable[[UnitOfWork, AnyObject], Awaitable[AnyObject]]
"""How long a test waits for what should happen within milliseconds."""


def meta(name: str, namespace: str | None = "ns", **fields: Any) -> ObjectMeta:
    return ObjectMeta(
        name=name, namespace=namespace, uid=str(uuid.uuid4()), creation_timestamp=NOON, generation=1, **fields
    )


def instance(name: str, *, namespace: str = "ns", labels: dict[str, str] | None = None, **spec: Any) -> ServiceInstance:
    return ServiceInstance(metadata=meta(name, namespace, labels=labels), spec=ServiceInstanceSpec(**spec))


def sample(kind: Kind, name: str = "sample", **body: Any) -> AnyObject:
    """An object of any kind from its JSON form."""
    namespace = "ns" if kind.namespaced else None
    generation = 1 if "spec" in kind.body_fields else None
    metadata = meta(name, namespace).model_copy(update={"generation": generation})
    document: AnyObject = kind.model.model_validate({"metadata": metadata, **body})
    return document


def with_parameters(document: AnyObject, **parameters: Any) -> AnyObject:
    """A later spec: the same instance with other parameters."""
    assert isinstance(document, ServiceInstance)
    return document.model_copy(update={"spec": document.spec.model_copy(update={"parameters": parameters})})


async def create(database: Database, *documents: AnyObject) -> list[AnyObject]:
    """Each in its own transaction."""
    return [await _create(database, document) for document in documents]


async def create_one(database: Database, document: ServiceInstance) -> ServiceInstance:
    created = await _create(database, document)
    assert isinstance(created, ServiceInstance)
    return created


async def _create(database: Database, document: AnyObject) -> AnyObject:
    return await database.run(lambda unit: unit.objects.insert(document))


async def get_instance(database: Database, name: str) -> ServiceInstance | None:
    found = await database.run(lambda unit: unit.objects.get(kinds.SERVICE_INSTANCE, "ns", name))
    assert found is None or isinstance(found, ServiceInstance)
    return found


async def update(database: Database, old: AnyObject, new: AnyObject) -> AnyObject:
    return await database.run(lambda unit: unit.objects.update(old, new))


async def remove(database: Database, document: AnyObject) -> AnyObject:
    return await database.run(lambda unit: unit.objects.remove(document))


async def change_parameters(unit: UnitOfWork, document: AnyObject) -> AnyObject:
    return await unit.objects.update(document, with_parameters(document, by="us"))


async def remove_in(unit: UnitOfWork, document: AnyObject) -> AnyObject:
    return await unit.objects.remove(document)


async def read(database: Database, after: int = 0, *, limit: int = 1000) -> Sequence[LoggedChange]:
    return await database.run(lambda unit: unit.changes.read(after, limit=limit))


def changed_object(database: Database, change: LoggedChange) -> AnyObject:
    """The object of a change, as a watcher reads it."""
    kind = kinds.KINDS[change.kind]
    return database.codec.from_stored(kind, change.stored, namespace=change.namespace, name=change.name)


async def read_at_least(database: Database, count: int, *, after: int = 0) -> list[LoggedChange]:
    """Follow the log as a watcher does until this many changes were seen. Other users of the server may delay them."""
    seen: list[LoggedChange] = []

    async def follow() -> int:
        seen.extend(await read(database, seen[-1].position if seen else after, limit=7))
        return len(seen)

    await eventually(follow, lambda length: length >= count, what=f"{count} changes")
    return seen


def labelled(**labels: str) -> Listing:
    return Listing(labels=tuple(labels.items()))


async def until_somebody_waits(database: Database) -> None:
    """Until a session of this PostgreSQL database waits for another one's lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    await eventually(lambda: database.run(lambda unit: scalar(unit, query)), what="somebody to wait for a lock")


async def scalar(unit: UnitOfWork, statement: Executable, **parameters: Any) -> Any:
    """Say something to the database that the stores have no words for."""
    return (await unit.changes._connection.execute(statement, parameters)).scalar()


def position_of(document: AnyObject) -> int:
    return int(document.metadata.resource_version or 0)


async def dump(engine: AsyncEngine) -> str:
    """All rows of all tables as one text."""
    lines: list[str] = []
    async with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            rows = (await connection.execute(select(table))).mappings()
            lines += [f"{table.name}: {dict(row)!r}" for row in rows]
    return "\n".join(lines)


class OpenTransaction:
    """A transaction that the test holds open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_worked = asyncio.Event()
        self._may_end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, work: Callable[[UnitOfWork], Awaitable[object]]) -> None:
        """Do the work and stop before the commit."""

        async def hold(unit: UnitOfWork) -> None:
            await work(unit)
            self._has_worked.set()
            await self._may_end.wait()

        self._task = asyncio.create_task(self._database.run(hold))
        worked = asyncio.create_task(self._has_worked.wait())
        async with asyncio.timeout(SOON):
            await asyncio.wait({self._task, worked}, return_when=asyncio.FIRST_COMPLETED)
        worked.cancel()
        if self._task.done():
            self._task.result()

    async def commit(self) -> None:
        self._may_end.set()
        if self._task is not None:
            async with asyncio.timeout(SOON):
                await self._task


@asynccontextmanager
async def held_open(
    database: Database, work: Callable[[UnitOfWork], Awaitable[object]]
) -> AsyncIterator[OpenTransaction]:
    """The work is done and not committed until the block ends, or calls `commit`."""
    transaction = OpenTransaction(database)
    await transaction.start(work)
    try:
        yield transaction
    finally:
        await transaction.commit()
