"""Invariant 7: a broker that hangs slows nobody else. Invariant 8: what waits is woken by what it waits for."""

import asyncio
import base64

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, Fleet, binding, broker, instance
from tests.support.waiting import eventually

HANGING, HEALTHY = 60, 20


async def test_instances_of_a_healthy_broker_get_ready_while_another_broker_hangs(fleet: Fleet) -> None:
    async with ScriptedBroker() as hanging, ScriptedBroker() as healthy:
        gate = asyncio.Event()
        hanging.always(osb.PROVISION, Reply(201, gate=gate))
        await fleet.offer("slow", hanging.url)
        await fleet.offer("quick", healthy.url)
        # No call that hangs gives way to the next, and no lease ends, however long the healthy ones take.
        limits = {"broker_concurrency": 4, "osb_timeout_seconds": 600.0}
        (await fleet.worker("ServiceInstance", "ServiceBinding", **limits)).beat()
        await fleet.create(*(instance(f"slow-{number}", "slow") for number in range(HANGING)))
        await hanging.wait_for(osb.PROVISION, 4)
        names = [f"quick-{number}" for number in range(HEALTHY)]
        await fleet.create(*(instance(name, "quick") for name in names))
        await fleet.create(*(binding(name) for name in names))
        await fleet.until_ready(INSTANCE, *names)
        await fleet.until_ready(BINDING, *names)
        assert [seen.answered_at for seen in hanging.seen] == [None] * 4, (
            "the others hang all the while, four at a time"
        )
        gate.set()
        await fleet.until_ready(INSTANCE, *(f"slow-{number}" for number in range(HANGING)))


async def test_instance_that_waits_for_its_class_is_woken_by_the_catalog(fleet: Fleet) -> None:
    async with ScriptedBroker(simple_catalog(simple_service("db", plans=["small"]))) as scripted:
        # Nobody sweeps: only an event can bring the instance back.
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await is_waiting(fleet, "one", "ReferencesNonexistentServiceClass")
        await fleet.worker("ClusterServiceBroker")
        await fleet.create(broker("harbour", scripted.url))
        await fleet.until_ready(INSTANCE, "one")


async def test_instance_that_waits_for_its_broker_is_woken_when_that_is_registered(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await remove_broker(fleet, "db")
        await fleet.create(instance("one", "db"))
        await fleet.worker("ServiceInstance")
        await is_waiting(fleet, "one", "ReferencesNonexistentBroker")
        await fleet.create(broker("db", scripted.url))
        await fleet.until_ready(INSTANCE, "one")


async def test_binding_that_waits_for_its_instance_is_woken_when_that_is_ready(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        gate = asyncio.Event()
        scripted.script(osb.PROVISION, Reply(201, gate=gate))
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        await fleet.worker("ServiceBinding")
        await fleet.create(instance("one", "db"))
        await scripted.wait_for(osb.PROVISION)
        await fleet.create(binding("one"))

        async def waits() -> bool:
            return bool((await fleet.work_row(BINDING, "one"))["waiting_for"] == f"instance:{NS}/one")

        await eventually(waits, what="the binding to wait")
        assert scripted.seen_of(osb.BIND) == []
        gate.set()
        await fleet.until_ready(BINDING, "one")


async def test_binding_that_is_older_than_its_instance_is_woken_when_that_is_ready(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(binding("one"))
        await fleet.until_condition(BINDING, "one", ("False", "ReferencesNonexistentInstance"))
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(BINDING, "one")


async def test_secret_that_appears_wakes_who_takes_parameters_from_it(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        source = ParametersFromSource(secret_key_ref=SecretKeyReference(name="settings", key="json"))
        await fleet.create(instance("one", "db", parameters_from=(source,)))
        await is_waiting(fleet, "one", "ErrorWithParameters")
        text = base64.b64encode(b'{"size": "large"}').decode()
        await fleet.create(Secret(metadata=ObjectMeta(name="settings", namespace=NS), data={"json": text}))
        await fleet.until_ready(INSTANCE, "one")
        (seen,) = scripted.seen_of(osb.PROVISION)
        assert seen.body["parameters"] == {"size": "large"}


async def test_instance_that_waits_for_its_bindings_is_woken_when_the_last_one_goes(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        await fleet.worker("ServiceInstance")
        binder = await fleet.worker("ServiceBinding")
        await fleet.create(instance("one", "db"), binding("one"))
        await fleet.until_ready(BINDING, "one")
        await fleet.delete(instance("one", "db"))
        await is_waiting(fleet, "one", "DeprovisionBlockedByExistingCredentials")
        assert scripted.seen_of(osb.DEPROVISION) == []
        await fleet.delete(binding("one"))
        await fleet.until_gone(INSTANCE, "one")
        assert len(scripted.seen_of(osb.UNBIND)) == len(scripted.seen_of(osb.DEPROVISION)) == 1
        await binder.stop()


async def is_waiting(fleet: Fleet, name: str, reason: str) -> None:
    """Wait until the instance waits for something, for this reason."""

    async def waits() -> bool:
        if await fleet.ready(INSTANCE, name) != ("False", reason):
            return False
        return bool((await fleet.work_row(INSTANCE, name))["waiting_for"])

    await eventually(waits, what=f"{name} to wait because of {reason}")


async def remove_broker(fleet: Fleet, name: str) -> None:
    async def remove(unit: UnitOfWork) -> None:
        found = await unit.objects.get(kinds.CLUSTER_SERVICE_BROKER, "", name)
        assert found is not None
        await unit.objects.remove(found)
        await unit.work_queue.remove(found.metadata.uid or "")

    await fleet.front.database.run(remove)
