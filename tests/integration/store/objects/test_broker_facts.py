"""One thing of all service brokers is read page by page, and nothing of their documents besides."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.circuits.lane_shares import NO_LANES, Lanes, WorkerName, find_lanes
from chandlery.engine.upkeep import counted_parts
from chandlery.engine.upkeep.counted_parts import CatalogCounting
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import to_timestamp
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects import broker_facts
from chandlery.telemetry.catalog.work import CATALOG_SYNCED
from chandlery.telemetry.metrics import Sample
from tests.integration.store.samples import NOON, create, sample, update

T = TypeVar("T")
WORKER = WorkerName(owner="w-1", queues=("provisioner.instance.reconcile",), calls_brokers=True)
MINUTE = timedelta(minutes=1)


def broker(name: str, *, is_read: bool = True, kind: Any = kinds.CLUSTER_SERVICE_BROKER, **spec: Any) -> AnyObject:
    """Its catalog was read at noon, if it was."""
    status = {"lastCatalogRetrievalTime": to_timestamp(NOON)} if is_read else {}
    document = sample(kind, name, spec={"url": "http://127.0.0.1:1", "caBundle": "QUJD", **spec})
    return document.model_copy(update={"status": kind.model.model_validate({"status": status}).status})


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_facts, "PAGE", 2)


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    said: list[str] = []

    def hear(*given: Any) -> None:
        said.append(given[2])

    event.listen(engine.sync_engine, "before_cursor_execute", hear)
    yield said
    event.remove(engine.sync_engine, "before_cursor_execute", hear)


async def look(database: Database, before: Lanes = NO_LANES) -> Lanes:
    return await database.run(lambda unit: find_lanes(unit, worker=WORKER, lease=MINUTE, before=before))


async def ask(database: Database, how: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    async def work(unit: UnitOfWork) -> T:
        return await how(unit)

    return await database.run(work)


async def _five(database: Database) -> None:
    namespaced = broker("own", kind=kinds.SERVICE_BROKER)
    await create(database, *(broker(name) for name in ("a", "b", "c", "d")), broker("new", is_read=False), namespaced)


async def _counted(counting: CatalogCounting) -> tuple[list[Sample], int]:
    parts = 1
    while (counted := await counting.next_part()) is None:
        parts += 1
    return counted[CATALOG_SYNCED], parts


async def test_when_catalogs_were_read_is_told_page_by_page_without_any_specification(database: Database) -> None:
    await _five(database)
    with statements(database._engine) as said:
        told, parts = await _counted(CatalogCounting(database))

    assert sorted(told) == [Sample((name,), NOON.timestamp()) for name in ("a", "b", "c", "d", "ns/own")]
    assert parts == 4
    assert said
    assert not [each for each in said if "spec" in each]


async def test_of_catalogs_beyond_the_bound_the_oldest_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted_parts, "MOST_BROKERS", 2)
    await _five(database)

    told, _ = await _counted(CatalogCounting(database))
    assert told == [Sample((name,), NOON.timestamp()) for name in ("a", "b", "other")]


async def test_what_is_told_of_idle_service_brokers_is_a_page_of_each_kind(database: Database) -> None:
    await _five(database)
    assert await ask(database, lambda unit: unit.broker_facts.lanes()) == ["broker:/a", "broker:/b", "broker:ns/own"]


async def test_what_brokers_are_to_be_told_is_read_of_those_that_a_namespace_can_use(database: Database) -> None:
    told: Any = {"contextAnnotations": ("acme.com/",)}
    own, elsewhere = (broker(name, kind=kinds.SERVICE_BROKER, **told) for name in ("own", "theirs"))
    elsewhere = elsewhere.model_copy(
        update={"metadata": elsewhere.metadata.model_copy(update={"namespace": "ns-of-others"})}
    )
    await create(database, *(broker(name, **told) for name in ("a", "b", "c")), broker("silent"), own, elsewhere)

    found = await ask(database, lambda unit: unit.broker_facts.context_annotations("ns"))
    assert found == {lane: ["acme.com/"] for lane in ("broker:/a", "broker:/b", "broker:/c", "broker:ns/own")}


async def test_limits_are_read_where_a_specification_is_new_and_kept_where_it_is_not(database: Database) -> None:
    [limited, *_] = await create(
        database, broker("a", maxConcurrentRequests=4), broker("b"), broker("c", maxConcurrentRequests=6)
    )
    first = await look(database)
    assert {*first.names} >= {"broker:/a", "broker:/b", "broker:/c"}
    assert first.limits == {"broker:/a": 4, "broker:/c": 6}

    with statements(database._engine) as said:
        second = await look(database, first)
    assert second == first
    assert not [each for each in said if "spec" in each]

    spec: Any = limited
    changed = spec.model_copy(
        update={
            "spec": spec.spec.model_copy(update={"max_concurrent_requests": 5}),
            "metadata": spec.metadata.model_copy(update={"generation": 2}),
        }
    )
    changed = await update(database, limited, changed)
    third = await look(database, second)
    assert third.limits == {"broker:/a": 5, "broker:/c": 6}

    await database.run(lambda unit: unit.objects.remove(changed))
    assert (await look(database, third)).limits == {"broker:/c": 6}
