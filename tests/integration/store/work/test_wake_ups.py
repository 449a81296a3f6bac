"""Whoever writes an object, in whatever way: who waits for it is woken, and no writer has to know."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chandlery.engine import deletions
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBindingStatus
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstanceStatus
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import OwnerReference
from chandlery.platform.standalone.standalone_platform import StandaloneSession
from chandlery.reconcile.reconcile_result import DeleteSecret, WriteSecret
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.work_claims import ON_HOLD, Claim, Release
from tests.integration.store import samples
from tests.integration.store.work import work

Write = Callable[[UnitOfWork], Awaitable[Any]]

_CLASS = {"externalName": "db", "externalID": "id", "description": "", "bindable": True}
_PLAN = {"externalName": "small", "externalID": "plan", "description": ""}


def _read(kind: Kind, **body: Any) -> AnyObject:
    return samples.sample(kind, "one", **body)


SECRET = _read(kinds.SECRET, data={"a": "YQ=="})
CLUSTER_BROKER = _read(kinds.CLUSTER_SERVICE_BROKER, spec={"url": "https://a"})
BROKER = _read(kinds.SERVICE_BROKER, spec={"url": "https://a"})
CLUSTER_CLASS = _read(kinds.CLUSTER_SERVICE_CLASS, spec={**_CLASS, "clusterServiceBrokerName": "b"})
CLASS = _read(kinds.SERVICE_CLASS, spec={**_CLASS, "serviceBrokerName": "b"})
CLUSTER_PLAN = _read(
    kinds.CLUSTER_SERVICE_PLAN,
    spec={**_PLAN, "clusterServiceBrokerName": "b", "clusterServiceClassRef": {"name": "of"}},
)
PLAN = _read(kinds.SERVICE_PLAN, spec={**_PLAN, "serviceBrokerName": "b", "serviceClassRef": {"name": "of"}})
INSTANCE = _read(kinds.SERVICE_INSTANCE, spec={})
BINDING = _read(kinds.SERVICE_BINDING, spec={"instanceRef": {"name": "db"}}, status={"asyncOpInProgress": True})

KEYS = {
    "Secret": (SECRET, "secret:ns/one"),
    "ClusterServiceBroker": (CLUSTER_BROKER, "broker:/one"),
    "ServiceBroker": (BROKER, "broker:ns/one"),
    "ClusterServiceClass": (CLUSTER_CLASS, "offering:/db"),
    "ServiceClass": (CLASS, "offering:ns/id"),
    "ClusterServicePlan": (CLUSTER_PLAN, "offering:/of"),
    "ServicePlan": (PLAN, "offering:ns/of"),
}
ENDS = {"ServiceInstance": (INSTANCE, "instance:ns/one"), "ServiceBinding": (BINDING, "bindings-of:ns/db")}
EVERY_KIND = [pytest.param(*pair, id=name) for name, pair in (KEYS | ENDS).items()]


def _changed(document: AnyObject) -> AnyObject:
    """The same object with news to those who wait for it."""
    if document is INSTANCE:
        ready = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason="", message="")
        return document.model_copy(update={"status": ServiceInstanceStatus(conditions=(ready,))})
    if document is BINDING:
        return document.model_copy(update={"status": ServiceBindingStatus()})
    if isinstance(document, Secret):
        return document.model_copy(update={"data": {"b": "Yg=="}})
    fields = {"url": "https://b"} if hasattr(document.spec, "url") else {"description": "another one"}  # type: ignore[union-attr]
    return document.model_copy(update={"spec": document.spec.model_copy(update=fields)})  # type: ignore[union-attr]


async def waiting(database: Database, key: str) -> None:
    """Two objects: one waits for the key, one is at rest and follows it."""
    for uid, left in (("waits", {"waiting_for": key}), ("follows", {"interests": (key,)})):
        await work.add(database, uid)
        held = await work.claim_surely(database, uid)
        release = Release(due_at=None, lane=work.LANE, memory={}, **left)
        await database.run(lambda unit, held=held, release=release: unit.work_queue.release(held, release))  # type: ignore[misc]


async def woken_by(database: Database, write: Write) -> list[str]:
    """Who is due after the write."""
    await database.run(write)
    return [uid for uid in ("waits", "follows") if await work.claim(database, uid) is not None]


BOTH = ["waits", "follows"]
INSERTS: dict[str, Callable[[UnitOfWork, AnyObject], Awaitable[Any]]] = {
    "alone": lambda unit, document: unit.objects.insert(document),
    "with others at the end": lambda unit, document: unit.objects.insert_later(document),
    "as a catalog": lambda unit, document: unit.objects.insert_many([document]),
}


@pytest.mark.parametrize("way", INSERTS)
@pytest.mark.parametrize(("document", "key"), [pytest.param(*pair, id=name) for name, pair in KEYS.items()])
async def test_what_comes_wakes_in_whatever_way_it_is_written(
    database: Database, document: AnyObject, key: str, way: str
) -> None:
    await waiting(database, key)
    assert await woken_by(database, lambda unit: INSERTS[way](unit, document)) == BOTH


@pytest.mark.parametrize(("document", "key"), EVERY_KIND)
async def test_what_changes_wakes_whoever_writes_it(database: Database, document: AnyObject, key: str) -> None:
    (stored,) = await samples.create(database, document)
    await waiting(database, key)
    after = _changed(document).model_copy(update={"metadata": stored.metadata})
    assert await woken_by(database, lambda unit: unit.objects.update(stored, after)) == BOTH


REMOVALS: dict[str, Callable[[UnitOfWork, AnyObject], Awaitable[Any]]] = {
    "gateway": lambda unit, document: unit.objects.remove(document),
    "namespace or owner": deletions.delete,
    "garbage collector": deletions.remove,
}


@pytest.mark.parametrize("who", REMOVALS)
@pytest.mark.parametrize(("document", "key"), EVERY_KIND)
async def test_what_goes_wakes_whoever_takes_it_away(
    database: Database, document: AnyObject, key: str, who: str
) -> None:
    (stored,) = await samples.create(database, document)
    await waiting(database, key)
    assert await woken_by(database, lambda unit: REMOVALS[who](unit, stored)) == BOTH


async def test_a_worker_that_writes_and_deletes_a_secret_wakes_others_and_not_the_object_it_works_for(
    database: Database,
) -> None:
    owner = "follows"
    reference = OwnerReference(
        api_version="servicecatalog.k8s.io/v1beta1", kind="ServiceBinding", name="b", uid=owner, controller=True
    )
    secret = SECRET.model_copy(
        update={"metadata": SECRET.metadata.model_copy(update={"owner_references": [reference]})}
    )
    assert isinstance(secret, Secret)
    await waiting(database, "secret:ns/one")
    write = WriteSecret(secret)
    assert await woken_by(database, lambda unit: StandaloneSession(unit).carry_out(write)) == ["waits"]
    await work.release(database, await _held(database), waiting_for="secret:ns/one")
    deletion = DeleteSecret("ns", "one", owner_uid=owner)
    assert await woken_by(database, lambda unit: StandaloneSession(unit).carry_out(deletion)) == ["waits"]


async def _held(database: Database) -> Claim:
    """The claim on who was woken, once more."""
    await database.run(lambda unit: unit.work_queue.start_over())
    return await work.claim_surely(database, "waits")


@pytest.mark.parametrize("has_note", [False, True])
async def test_the_last_instance_of_a_broker_wakes_it_by_the_lane_of_its_work(
    database: Database, *, has_note: bool
) -> None:
    (stored,) = await samples.create(database, INSTANCE)
    uid = stored.metadata.uid or ""
    await work.add(database, uid, lane="broker:/now")
    if has_note:
        held = await work.claim_surely(database, uid)
        left = Release(due_at=None, lane="broker:/now", memory={"lane": "broker:/noted"})
        await database.run(lambda unit: unit.work_queue.release(held, left))
    await waiting(database, "instances-of:broker:/noted" if has_note else "instances-of:broker:/now")
    assert await woken_by(database, lambda unit: deletions.remove(unit, stored)) == BOTH


async def test_another_priority_of_a_broker_wakes_who_asks_for_its_classes_by_name(database: Database) -> None:
    of_one = CLUSTER_CLASS.model_copy(
        update={"spec": CLUSTER_CLASS.spec.model_copy(update={"cluster_service_broker_name": "one"})}  # type: ignore[union-attr]
    )
    broker, _ = await samples.create(database, CLUSTER_BROKER, of_one)
    await waiting(database, "offering:/db")
    preferred = broker.spec.model_copy(update={"name_priority": 7})  # type: ignore[union-attr]
    after = broker.model_copy(update={"spec": preferred})
    assert await woken_by(database, lambda unit: unit.objects.update(broker, after)) == BOTH


@pytest.mark.parametrize(
    ("told", "waits_for", "is_due"), [("cost/", None, True), ("owner/", None, False), ("cost/", ON_HOLD, False)]
)
async def test_an_annotation_of_a_namespace_makes_instances_due_whose_broker_is_told_it(
    database: Database, told: str, *, waits_for: str | None, is_due: bool
) -> None:
    wanted = CLUSTER_BROKER.spec.model_copy(update={"context_annotations": (told,)})  # type: ignore[union-attr]
    broker = CLUSTER_BROKER.model_copy(update={"spec": wanted})
    namespace = kinds.NAMESPACE.model.model_validate({"metadata": samples.meta("ns", None)})
    before, _, stored = await samples.create(database, namespace, broker, INSTANCE)
    uid = stored.metadata.uid or ""
    await work.add(database, uid, lane="broker:/one")
    held = await work.claim_surely(database, uid)
    left = Release(due_at=None, lane="broker:/one", waiting_for=waits_for, memory={})
    await database.run(lambda unit: unit.work_queue.release(held, left))
    annotated = before.metadata.model_copy(update={"annotations": {"cost/center": "1"}})
    after = before.model_copy(update={"metadata": annotated})
    await database.run(lambda unit: unit.objects.update(before, after))
    assert (await work.claim(database, uid) is not None) == is_due


async def test_what_is_no_news_wakes_nobody(database: Database) -> None:
    (stored,) = await samples.create(database, SECRET)
    await waiting(database, "secret:ns/one")
    labelled = stored.metadata.model_copy(update={"labels": {"a": "b"}})
    after = stored.model_copy(update={"metadata": labelled})
    assert await woken_by(database, lambda unit: unit.objects.update(stored, after)) == []
