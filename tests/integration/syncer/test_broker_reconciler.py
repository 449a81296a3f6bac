"""Catalog syncs from end to end: a scripted broker over HTTP, the real rounds, the real database."""

from datetime import timedelta
from functools import partial
from typing import Any

from chandlery.model import kinds
from chandlery.model.brokers import ClusterServiceBroker, LocalObjectReference, ServiceBroker, ServiceBrokerSpec
from chandlery.model.conditions import ConditionType, find_condition
from chandlery.model.core import Secret
from chandlery.model.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.metadata import ObjectMeta
from chandlery.reconcile.change import broker_key, instances_key, offering_key, secret_key
from chandlery.store.database import UnitOfWork
from chandlery.store.reconciliations import Release
from tests.conformance.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted_catalog import simple_plan, simple_service
from tests.conformance.scripted_templates import GET_CATALOG
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


async def test_first_sync_stores_classes_and_plans_and_says_so(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)

    stored = await bench.get(broker)
    assert ready(stored) == ("True", "FetchedCatalog")
    assert stored.status.reconciled_generation == 1
    assert stored.status.last_catalog_retrieval_time is not None
    assert [each.spec.external_name for each in await bench.all(CLASSES)] == ["db"]
    assert sorted(each.spec.external_name for each in await bench.all(PLANS)) == ["large", "small"]
    assert await bench.reasons() == ["FetchedCatalog"]


async def test_unchanged_catalog_writes_no_class_or_plan(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        stored = await relist(bench, broker)

    assert stored.status.reconciled_generation == 2
    assert await bench.new_changes(CLASSES, PLANS) == []
    assert len(server.seen_of(GET_CATALOG)) == 2


async def test_relist_sends_the_validator_and_304_keeps_everything(bench: Bench) -> None:
    async with ScriptedBroker() as server:
        server.script(GET_CATALOG, Reply(200, two_plans(), {"ETag": '"one"'}), Reply(304, None))
        broker = await bench.cluster_broker(server.url, relist_duration="1ms")
        await bench.round(broker)
        await bench.new_changes()
        await bench.change(broker)
        await bench.round(broker)

    assert server.seen_of(GET_CATALOG)[1].headers["If-None-Match"] == '"one"'
    assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_changed_plan_is_one_write_with_a_new_generation(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        server.catalog = simple_catalog(simple_service("db", plans=["small", simple_plan("large", free=False)]))
        await relist(bench, broker)

    (change,) = await bench.new_changes(CLASSES, PLANS)
    assert (change.verb, change.name) == ("MODIFIED", "db-large-id")
    assert change.stored["metadata"]["generation"] == 2
    assert change.stored["spec"]["free"] is False


async def test_vanished_plans_go_unless_an_instance_uses_them(bench: Bench) -> None:
    lane = broker_key("", "broker")
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        used = await bench.create(instance("one", "db-small-id"), lane=lane)
        server.catalog = simple_catalog(simple_service("web"))
        await relist(bench, broker)

        assert {each.metadata.name for each in await bench.all(PLANS)} == {"db-small-id", "web-default-id"}
        removed = {each.metadata.name: each.status.removed_from_broker_catalog for each in await bench.all(CLASSES)}
        assert removed == {"db-id": True, "web-id": False}

        bench.take_commands()
        await bench.take_away(used, wakes=[instances_key(lane)])
        assert bench.take_commands() == {broker.metadata.uid}
        await bench.round(broker)

    assert [each.metadata.name for each in await bench.all(PLANS)] == ["web-default-id"]
    assert [each.metadata.name for each in await bench.all(CLASSES)] == ["web-id"]
    assert len(server.seen_of(GET_CATALOG)) == 2


async def test_offering_that_comes_back_is_no_longer_marked(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.create(instance("one", "db-small-id"), lane=broker_key("", "broker"))
        server.catalog = simple_catalog(simple_service("web"))
        await relist(bench, broker)
        server.catalog = two_plans()
        await relist(bench, broker)

    assert {each.metadata.name: each.status.removed_from_broker_catalog for each in await bench.all(PLANS)} == {
        "db-large-id": False,
        "db-small-id": False,
    }


async def test_failing_broker_keeps_the_last_good_catalog(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        server.always(GET_CATALOG, Reply(500, {"description": "disk full"}))
        stored = await relist(bench, broker)

    assert ready(stored) == ("False", "ErrorFetchingCatalog")
    assert "disk full" in stored.status.conditions[0].message
    assert stored.status.operation_start_time is not None
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_invalid_catalog_names_every_problem_and_changes_nothing(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        server.catalog = {"services": [{"id": "x", "name": "x", "plans": []}]}
        stored = await relist(bench, broker)

    assert ready(stored) == ("False", "ErrorSyncingCatalog")
    message = stored.status.conditions[0].message
    assert all(path in message for path in ("services[0].description", "services[0].bindable", "services[0].plans"))
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_second_broker_with_the_same_ids_is_refused_as_a_whole(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        first = await bench.cluster_broker(server.url, "first")
        await bench.round(first)
        await bench.new_changes()
        server.catalog = simple_catalog(simple_service("other"), simple_service("db", plans=["small"]))
        second = await bench.cluster_broker(server.url, "second")
        await bench.round(second)

    stored = await bench.get(second)
    assert ready(stored) == ("False", "ErrorSyncingCatalog")
    assert "already exists for Broker 'first'" in stored.status.conditions[0].message
    assert await bench.new_changes(CLASSES, PLANS) == []


async def test_broker_without_its_secret_waits_for_it(bench: Bench) -> None:
    auth = {"basic": {"secretRef": {"namespace": "ops", "name": "login"}}}
    async with ScriptedBroker(two_plans(), basic=("admin", "s3cret")) as server:
        broker = await bench.cluster_broker(server.url, auth_info=auth)
        await bench.round(broker)
        assert ready(await bench.get(broker)) == ("False", "ErrorFetchingCatalog")
        assert await bench.reasons() == ["ErrorGettingAuthCredentials"]
        assert server.seen == []

        data = {"username": "YWRtaW4=", "password": "czNjcmV0"}
        await bench.create(Secret(metadata=ObjectMeta(name="login", namespace="ops"), data=data))
        bench.take_commands()
        await bench.resources.database.run(lambda unit: _wake(unit, secret_key("ops", "login")))
        assert bench.take_commands() == {broker.metadata.uid}
        await bench.round(broker)

    assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")


async def test_deletion_waits_for_the_instances_and_needs_no_answer_from_the_broker(bench: Bench) -> None:
    lane = broker_key("", "broker")
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
    used = await bench.create(instance("one", "db-small-id"), lane=lane)
    await bench.delete(broker)
    await bench.round(broker)

    stored = await bench.get(broker)
    assert ready(stored) == ("False", "DeletionBlockedByExistingInstances")
    assert stored.status.conditions[0].message.startswith("1 ServiceInstance of this broker is left")
    assert len(await bench.all(PLANS)) == 2

    await bench.take_away(used, wakes=[instances_key(lane)])
    await bench.round(broker)
    assert await bench.get(broker) is None
    assert await bench.all(PLANS) == [] == await bench.all(CLASSES)
    assert "DeletedClusterServiceBrokerSuccessfully" in await bench.reasons()


async def test_namespaced_broker_makes_namespaced_objects_and_takes_them_along(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        document = ServiceBroker(
            metadata=ObjectMeta(name="mine", namespace="team"), spec=ServiceBrokerSpec(url=server.url)
        )
        broker = await bench.create(document)
        await bench.round(broker)
        (service_class,) = await bench.all(kinds.SERVICE_CLASS)
        assert (service_class.metadata.namespace, service_class.spec.service_broker_name) == ("team", "mine")
        assert service_class.metadata.owner_references is None

    await bench.delete(broker)
    await bench.round(broker)
    assert await bench.get(broker) is None
    assert await bench.all(kinds.SERVICE_PLAN) == [] == await bench.all(kinds.SERVICE_CLASS)
    assert "DeletedSuccessfully" in await bench.reasons()


async def test_new_class_wakes_who_waits_for_it_by_any_of_its_names(bench: Bench) -> None:
    waiting = {
        name: await bench.create(instance(f"waits-{position}", "any"), lane="unresolved")
        for position, name in enumerate(["db", "db-id", "unknown"])
    }
    for name, document in waiting.items():
        await bench.resources.database.run(partial(_wait, uid=document.metadata.uid or "", key=offering_key("", name)))
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        bench.take_commands()
        await bench.round(broker)

    assert bench.take_commands() == {waiting["db"].metadata.uid, waiting["db-id"].metadata.uid}


async def _wake(unit: UnitOfWork, key: str) -> None:
    unit.outbox.add(*await unit.reconciliations.wake(key))


async def _wait(unit: UnitOfWork, *, uid: str, key: str) -> None:
    claim = await unit.reconciliations.claim(uid, owner="test", lease=timedelta(seconds=10))
    assert claim is not None
    release = Release(due_at=None, lane=claim.lane, waiting_for=key, memory={})
    await unit.reconciliations.release(claim, release)
