"""Brokers that offer the same ids: told, never mixed up, and mended by themselves once one goes."""

from chandlery.model.objects.brokers import ServiceBroker, ServiceBrokerSpec
from chandlery.model.objects.metadata import ObjectMeta
from tests.conformance.scripted.scripted_broker import ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import CLASSES, PLANS, ready, two_plans


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


async def test_same_broker_registered_twice_is_told_so_and_goes_on_when_the_first_goes(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        first = await bench.cluster_broker(server.url, "first")
        second = await bench.cluster_broker(server.url + "/", "second")
        await bench.round(first)
        await bench.round(second)
        message = (await bench.get(second)).status.conditions[0].message
        assert "already exists for Broker 'first'" in message
        assert "Both have the same URL. Delete one of them: second or first" in message

        await bench.delete(first)
        bench.take_commands()
        await bench.round(first)
        assert bench.take_commands() == {second.metadata.uid}
        await bench.round(second)
    assert ready(await bench.get(second)) == ("True", "FetchedCatalog")
    assert {each.spec.cluster_service_broker_name for each in await bench.all(PLANS)} == {"second"}


async def test_namespaced_brokers_collide_within_their_namespace_only(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        brokers = [
            await bench.create(
                ServiceBroker(metadata=ObjectMeta(name=name, namespace=team), spec=ServiceBrokerSpec(url=server.url))
            )
            for team, name in (("red", "one"), ("blue", "one"), ("red", "two"))
        ]
        brokers.append(await bench.cluster_broker(server.url))
        for broker in brokers:
            await bench.round(broker)
    states = [ready(await bench.get(broker))[1] for broker in brokers]
    assert states == ["FetchedCatalog", "FetchedCatalog", "ErrorSyncingCatalog", "FetchedCatalog"]
    message = (await bench.get(brokers[2])).status.conditions[0].message
    assert "for Broker 'two' already exists for Broker 'one'" in message
    assert "-n red" in message
