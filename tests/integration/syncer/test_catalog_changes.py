"""What becomes of classes, plans and those who use them when a broker changes its catalog."""

from datetime import timedelta
from functools import partial
from typing import Any

from chandlery.model.objects import kinds
from chandlery.reconcile.reconcile_result import broker_key, offering_key
from tests.conformance.scripted.scripted_broker import ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import CLASSES, PLANS, instance, ready, relist, rest, two_plans, wait_for

LEFT_AND_CAME = (
    "The catalog has changed: 1 class and 1 plan added (web, web/default); 1 class and 1 plan no longer "
    "offered but kept for instances (db, db/small); 1 plan removed (db/large)"
)
CAME_BACK = (
    "The catalog has changed: 1 plan added (db/large); 1 class and 1 plan offered again (db, db/small); "
    "1 class and 1 plan removed (web, web/default)"
)


async def test_other_maintenance_info_makes_instances_of_the_plan_due(bench: Bench) -> None:
    def catalog(version: str) -> dict[str, Any]:
        small = simple_plan("small", plan_id="db-small-id", maintenance_version=version)
        return simple_catalog(simple_service("db", plans=[small, "large"]))

    async with ScriptedBroker(catalog("1.0.0")) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        lane = broker_key("", "broker")
        instances = {
            plan: await bench.create(instance(plan, f"db-{plan}-id"), lane=lane) for plan in ("small", "large")
        }
        polled = await bench.create(instance("polled", "db-small-id"), lane=lane)
        later = timedelta(hours=1)
        for each in (*instances.values(), polled):
            due_in = later if each is polled else None
            await bench.resources.database.run(partial(rest, uid=each.metadata.uid or "", due_in=due_in))
        server.catalog = catalog("2.0.0")
        await relist(bench, broker)

    due = await bench.resources.database.run(lambda unit: unit.work_queue.due(limit=9))
    assert {command.uid for command in due} == {instances["small"].metadata.uid}
    (message,) = [each.message for each in await bench.all(kinds.EVENT) if each.reason == "CatalogChanged"]
    assert message == "The catalog has changed: 1 plan changed (db/small)"


async def test_removal_and_return_of_offerings_are_told(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.create(instance("one", "db-small-id"), lane=broker_key("", "broker"))
        server.catalog = simple_catalog(simple_service("web"))
        await relist(bench, broker)
        server.catalog = two_plans()
        await relist(bench, broker)

    told = {(each.involved_object.name, each.reason): each.message for each in await bench.all(kinds.EVENT)}
    assert ("db-small-id", "RemovedFromBrokerCatalog") in told
    assert ("db-id", "ReturnedToBrokerCatalog") in told
    assert {each.message for each in await bench.all(kinds.EVENT) if each.reason == "CatalogChanged"} == {
        LEFT_AND_CAME,
        CAME_BACK,
    }


async def test_oddities_of_a_catalog_are_told_and_it_is_used(bench: Bench) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "no such type"}
    plan = simple_plan("small plan", plan_id="p", schemas={"service_instance": {"create": {"parameters": schema}}})
    async with ScriptedBroker(simple_catalog(simple_service("db", plans=[plan], requires=["moon_phase"]))) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
    assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")
    (event,) = [each for each in await bench.all(kinds.EVENT) if each.reason == "QuestionableCatalog"]
    assert event.type == "Warning"
    paths = (
        "services[0].requires[0]",
        "services[0].plans[0].name",
        "plans[0].schemas.service_instance.create.parameters",
    )
    assert all(path in event.message for path in paths)
    assert len(await bench.all(PLANS)) == 1


async def test_plan_that_cannot_be_used_is_left_out_and_told_and_what_was_there_stays(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        await bench.new_changes()
        broken = {**simple_plan("small", plan_id="db-small-id"), "free": "yes"}
        server.catalog = simple_catalog(simple_service("db", plans=[broken, simple_plan("huge", plan_id="huge")]))
        stored = await relist(bench, broker)

    assert ready(stored) == ("True", "FetchedCatalog")
    message = stored.status.conditions[0].message
    assert "left out because of services[0].plans[0].free: must be a boolean" in message
    assert message.endswith("kubectl describe clusterservicebroker broker")
    (event,) = [each for each in await bench.all(kinds.EVENT) if each.reason == "QuestionableCatalog"]
    assert "left out because of services[0].plans[0].free: must be a boolean" in event.message
    assert [(change.verb, change.name) for change in await bench.new_changes(CLASSES, PLANS)] == [("ADDED", "huge")]


async def test_empty_catalog_is_taken_and_said_to_be_empty(bench: Bench) -> None:
    async with ScriptedBroker({"services": []}) as server:
        broker = await bench.cluster_broker(server.url)
        await bench.round(broker)
        first = (await bench.get(broker)).status.conditions[0]
        again = (await relist(bench, broker)).status.conditions[0]
    assert (first.status, first.reason) == ("True", "FetchedCatalog")
    assert "Nothing is offered: the broker's catalog is empty." in first.message
    assert again.message == first.message


async def test_restrictions_that_leave_out_everything_are_said_to(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        restrictions = {"serviceClass": ["spec.externalName=other"]}
        broker = await bench.cluster_broker(server.url, catalog_restrictions=restrictions)
        await bench.round(broker)
    message = (await bench.get(broker)).status.conditions[0].message
    assert "spec.catalogRestrictions exclude all of it" in message


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
        await bench.take_away(used)
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


async def test_new_class_wakes_who_waits_for_it_by_any_of_its_names(bench: Bench) -> None:
    waiting = {
        name: await bench.create(instance(f"waits-{position}", "any"), lane="unresolved")
        for position, name in enumerate(["db", "db-id", "unknown"])
    }
    for name, document in waiting.items():
        await bench.resources.database.run(
            partial(wait_for, uid=document.metadata.uid or "", key=offering_key("", name))
        )
    async with ScriptedBroker(two_plans()) as server:
        broker = await bench.cluster_broker(server.url)
        bench.take_commands()
        await bench.round(broker)

    assert bench.take_commands() == {waiting["db"].metadata.uid, waiting["db-id"].metadata.uid}
