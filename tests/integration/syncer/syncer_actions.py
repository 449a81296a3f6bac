"""Actions that tests of the syncer have in common."""

from datetime import timedelta
from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ClusterServiceBroker, LocalObjectReference
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Release
from tests.conformance.scripted.scripted_broker import simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.syncer.conftest import Bench

CLASSES, PLANS = kinds.CLUSTER_SERVICE_CLASS, kinds.CLUSTER_SERVICE_PLAN


def ready(broker: Any) -> tuple[str, str]:
    condition = find_condition(broker.status.conditions, ConditionType.READY)
    return (condition.status, condition.reason) if condition else ("", "")


def two_plans() -> dict[str, Any]:
    return simple_catalog(simple_service("db", plans=["small", "large"]))


def instance(name: str, plan: str) -> ServiceInstance:
    spec = ServiceInstanceSpec(
        cluster_service_class_ref=LocalObjectReference(name="db-id"),
        cluster_service_plan_ref=LocalObjectReference(name=plan),
    )
    return ServiceInstance(metadata=ObjectMeta(name=name, namespace="team"), spec=spec)


async def relist(bench: Bench, document: ClusterServiceBroker) -> Any:
    """Ask for the catalog now, as `svcat sync broker` does."""
    stored = await bench.get(document)
    spec = stored.spec.model_copy(update={"relist_requests": stored.spec.relist_requests + 1})
    await bench.change(document, spec=spec)
    await bench.round(document)
    return await bench.get(document)


async def wake(unit: UnitOfWork, key: str) -> None:
    unit.outbox.add(*await unit.wakes.enqueue_waiting(key))


async def wait_for(unit: UnitOfWork, *, uid: str, key: str) -> None:
    claim = await unit.work_queue.claim(uid, owner="test", lease=timedelta(seconds=10))
    assert claim is not None
    release = Release(due_at=None, lane=claim.lane, waiting_for=key, memory={})
    await unit.work_queue.release(claim, release)


def let_time_pass(bench: Bench, duration: timedelta) -> None:
    """The clock of the database's users goes forward."""
    before = bench.resources.database._clock
    bench.resources.database._clock = lambda: before() + duration


async def rest(unit: UnitOfWork, *, uid: str, due_in: timedelta | None) -> None:
    claim = await unit.work_queue.claim(uid, owner="test", lease=timedelta(seconds=10))
    assert claim is not None
    due_at = unit.now + due_in if due_in else None
    await unit.work_queue.release(claim, Release(due_at=due_at, lane=claim.lane, memory={}))
