"""Brokers that go: with their catalog, after their instances, or in spite of them."""

from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import ServiceBroker, ServiceBrokerSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.reconcile_result import broker_key
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import CLASSES, PLANS, instance, ready, two_plans


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

    await bench.take_away(used)
    await bench.round(broker)
    assert await bench.get(broker) is None
    assert await bench.all(PLANS) == [] == await bench.all(CLASSES)
    assert "DeletedClusterServiceBrokerSuccessfully" in await bench.reasons()


async def test_forced_deletion_leaves_what_instances_use_and_a_new_registration_takes_it_up(bench: Bench) -> None:
    lane = broker_key("", "broker")
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.create(instance("one", "db-small-id"), lane=lane)
        await bench.delete(broker)
        await bench.round(broker)
        assert ready(await bench.get(broker)) == ("False", "DeletionBlockedByExistingInstances")

        await bench.change(broker, metadata={"annotations": {"chandlery.io/force-delete": "true"}})
        await bench.round(broker)
        assert await bench.get(broker) is None
        (forced,) = [each for each in await bench.all(kinds.EVENT) if each.reason == "ForceDeleted"]
        assert "1 ServiceInstance of this broker is left" in forced.message
        (plan,) = await bench.all(PLANS)
        (service_class,) = await bench.all(CLASSES)
        assert plan.metadata.name == "db-small-id"
        assert plan.status.removed_from_broker_catalog
        assert service_class.status.removed_from_broker_catalog
        assert plan.metadata.owner_references is service_class.metadata.owner_references is None, "or it were garbage"

        again = await bench.cluster_broker(server.url)
        await bench.round(again)
    assert ready(await bench.get(again)) == ("True", "FetchedCatalog")
    plans = {each.metadata.name: each for each in await bench.all(PLANS)}
    assert plans["db-small-id"].metadata.uid == plan.metadata.uid
    assert plans["db-small-id"].metadata.owner_references[0].uid == again.metadata.uid
    assert not any(each.status.removed_from_broker_catalog for each in plans.values())


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
