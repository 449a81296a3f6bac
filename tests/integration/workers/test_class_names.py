"""Names of classes, as the workers find them: the same as the gateway does, and woken when that changes."""

from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.kinds import AnyObject
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import BINDING, INSTANCE, Fleet, binding, broker, catalog, instance
from tests.support.waiting import eventually

UNKNOWN = ("False", "ReferencesNonexistentServiceClass")


def named(name: str, title: str, *, removed: bool = False) -> list[AnyObject]:
    """The class and the plan of a broker, under a name of their own."""
    service_class, plan = catalog(name)
    status: Any = getattr(service_class, "status").model_copy(update={"removed_from_broker_catalog": removed})  # noqa: B009
    spec = getattr(service_class, "spec").model_copy(update={"external_name": title})  # noqa: B009
    return [service_class.model_copy(update={"spec": spec, "status": status}), plan]


async def message(fleet: Fleet, kind: kinds.Kind, name: str) -> str:
    ready = find_condition((await fleet.find(kind, name)).status.conditions, ConditionType.READY)
    return ready.message if ready else ""


async def test_what_is_offered_no_more_takes_nothing_new_and_stands_in_nobodys_way(fleet: Fleet) -> None:
    async with ScriptedBroker() as old, ScriptedBroker() as new:
        await fleet.create(broker("one", old.url), broker("two", new.url))
        await fleet.insert(*named("one", "overview", removed=True), *named("two", "overview"))
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("db", "overview"))
        await fleet.until_ready(INSTANCE, "db")
        assert (len(old.seen_of(osb.PROVISION)), len(new.seen_of(osb.PROVISION))) == (0, 1)


async def test_a_priority_that_is_given_later_wakes_who_waits_for_the_name(fleet: Fleet) -> None:
    async with ScriptedBroker() as first, ScriptedBroker() as second:
        await fleet.create(broker("one", first.url), broker("two", second.url))
        await fleet.insert(*named("one", "overview"), *named("two", "overview"))
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("db", "overview"))
        await fleet.until_condition(INSTANCE, "db", UNKNOWN)
        told = await message(fleet, INSTANCE, "db")
        assert 'is ambiguous: 2 classes are offered under that name: "one-class" of the broker "one"' in told
        assert "clusterServiceClassName" in told

        def prefer(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
            spec = getattr(old, "spec").model_copy(update={"name_priority": 5})  # noqa: B009
            return old.model_copy(update={"spec": spec}), ()

        await fleet.change(broker("two", second.url), prefer)
        await fleet.until_ready(INSTANCE, "db")
        assert (len(first.seen_of(osb.PROVISION)), len(second.seen_of(osb.PROVISION))) == (0, 1)


async def test_a_missing_class_plan_or_instance_is_told_with_the_nearest_names(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("overview", scripted.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("database", "overview"))
        await fleet.until_ready(INSTANCE, "database")
        await fleet.create(instance("a", "overvew"), instance("b", "overview", plan="smal"), binding("databse"))

        async def are_told() -> bool:
            objects = [(INSTANCE, "a"), (INSTANCE, "b"), (BINDING, "databse")]
            return all([await message(fleet, *each) for each in objects])

        await eventually(are_told, what="all three to say what is missing")
        assert '"overvew" that does not exist; did you mean "overview"?' in await message(fleet, INSTANCE, "a")
        assert '"smal" of "overview" that does not exist; did you mean "small"?' in await message(fleet, INSTANCE, "b")
        told = await message(fleet, BINDING, "databse")
        assert '"databse" that does not exist; did you mean "database"?' in told
        assert "kubectl get serviceinstances -n ns" in told
