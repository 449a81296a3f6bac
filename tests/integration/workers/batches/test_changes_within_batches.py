"""Changes that share a transaction: what becomes of one of them is no matter of the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import update

from chandlery.engine.batches import Part
from chandlery.model.faults import Conflict
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import SERVICE_INSTANCE, AnyObject
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.objects.pending_writes import Overtaken
from chandlery.store.schema import OBJECTS
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery_gateway.admission.catalog.object_admission import AdmittedChange, ObjectAdmission
from chandlery_gateway.write import write_transactions
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Change, Mutation, Preconditions, WriteRequest
from chandlery_gateway.write.write_transactions import WriteTransactions
from tests.integration.store.samples import NOON, create_one, get_instance, instance
from tests.support.allow_everything import AllowEverything

_I = OBJECTS[SERVICE_INSTANCE.kind]


def _opened(url: str) -> Database:
    return Database(
        open_engine(url, application_name="chandlery-test"), Keyring.parse(new_key("test")), clock=lambda: NOON
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = _opened(database_url)
    yield database
    await database.close()


@pytest.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[Database]:
    database = _opened(postgresql_url)
    yield database
    await database.close()


def _ordered(name: str) -> ServiceInstance:
    """With a plan, which admission would have to look for otherwise."""
    return instance(name, cluster_service_class_external_name="db", cluster_service_plan_external_name="small")


def _request(name: str) -> WriteRequest:
    return WriteRequest(kind=SERVICE_INSTANCE, namespace="ns", name=name, user=UserInfo(username="ann"))


def _labelled(label: str) -> Mutation:
    def mutate(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        labels = {**(old.metadata.labels or {}), label: "x"}
        return old.model_copy(update={"metadata": old.metadata.model_copy(update={"labels": labels})}), ()

    return mutate


class Race:
    """The first transaction gets its number, and another one writes the instance `a` before it does."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self._database = database
        self._hold = write_transactions._hold
        monkeypatch.setattr(write_transactions, "_hold", self._slow)

    async def _slow(self, unit: UnitOfWork, requests: Sequence[WriteRequest]) -> None:
        self.sizes.append(len(requests))
        if len(self.sizes) == 1:
            await unit.changes.next_position()
            await self._database.run(_written_first)
        await self._hold(unit, requests)


async def _written_first(unit: UnitOfWork) -> None:
    old = await unit.objects.get(SERVICE_INSTANCE, "ns", "a")
    assert old is not None
    await unit.objects.update(old, _labelled("first")(old)[0])


async def test_who_was_overtaken_is_changed_by_himself_and_the_others_at_once(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        await create_one(postgresql, _ordered(name))
    writer = ObjectWriter(postgresql, on_write=lambda _request: None, authorizer=AllowEverything())
    race = Race(postgresql, monkeypatch)
    await asyncio.gather(*(writer.change(_request(name), _labelled("second")) for name in ("a", "b", "c")))
    assert race.sizes == [3, 1]
    changed = [await get_instance(postgresql, name) for name in ("a", "b", "c")]
    found = [each.metadata.labels for each in changed if each is not None]
    assert found == [{"first": "x", "second": "x"}, {"second": "x"}, {"second": "x"}]


async def test_who_was_overtaken_is_deleted_by_himself_and_the_others_at_once(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        await create_one(postgresql, _ordered(name))
    writer = ObjectWriter(postgresql, on_write=lambda _request: None, authorizer=AllowEverything())
    race = Race(postgresql, monkeypatch)
    gone = await asyncio.gather(*(writer.delete(_request(name), Preconditions()) for name in ("a", "b")))
    assert race.sizes == [2, 1]
    assert [stored.is_gone for stored in gone] == [True, True]


class LooksAround(ObjectAdmission):
    """Somebody else writes `a` as it cannot be; then a look at all instances writes what was put off of it."""

    async def admit_update(self, unit: UnitOfWork, old: AnyObject, sent: AnyObject, **asked: Any) -> AdmittedChange:
        if old.metadata.name == "b":
            await unit._connection.execute(update(_I).where(_I.c.name == "a").values(resource_version=1))
            await unit.objects.count(SERVICE_INSTANCE, Listing())
        return await super().admit_update(unit, old, sent, **asked)


async def test_what_another_one_has_put_off_and_cannot_be_written_is_nobodys_answer(database: Database) -> None:
    before = [await create_one(database, _ordered(name)) for name in ("a", "b")]
    transactions = WriteTransactions(LooksAround())
    parts = [Part(Change(request=_request(name), mutation=_labelled("second"))) for name in ("a", "b")]
    with pytest.raises(Conflict, match='"a": the object has been modified') as raised:
        await database.run(lambda unit: transactions.update_all(unit, parts))
    assert not isinstance(raised.value, Overtaken)
    after = [await get_instance(database, name) for name in ("a", "b")]
    assert after == before
