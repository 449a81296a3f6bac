"""A namespaced broker's Secret goes with its namespace before its instances: a copy lets them be deprovisioned."""

import base64

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import (
    BrokerAuth,
    LocalObjectReference,
    LocalSecretAuth,
    ServiceBroker,
    ServiceBrokerSpec,
)
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.objects.object_reads import Listing
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.distant_platform import DistantPlatform
from tests.integration.workers.fleet import INSTANCE, NS, Fleet
from tests.support.waiting import eventually

LOCAL = pytest.mark.parametrize("fleet", ["sqlite, in process"], indirect=True)
"""Where the rows are makes no difference to who reads them."""


@LOCAL
async def test_instance_is_deprovisioned_although_the_secret_of_its_broker_is_gone(fleet: Fleet) -> None:
    fleet.platform = platform = DistantPlatform()
    platform.put("login", username="ann", password="sesame")
    async with ScriptedBroker(basic=("ann", "sesame")) as scripted:
        await ready_instance(fleet, scripted)
        assert await copied(fleet) == {"username": "ann", "password": "sesame"}
        del platform.secrets[NS, "login"]
        await fleet.delete(new_broker(scripted.url))
        await fleet.delete(new_instance())
        await fleet.until_gone(INSTANCE, "one")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1
        await fleet.until_gone(kinds.SERVICE_BROKER, "own")
    assert await copied(fleet) is None, "a copy outlives its broker"


@LOCAL
async def test_copy_is_not_used_while_the_broker_is_to_stay(fleet: Fleet) -> None:
    fleet.platform = platform = DistantPlatform()
    platform.put("login", username="ann", password="sesame")
    async with ScriptedBroker(basic=("ann", "sesame")) as scripted:
        await ready_instance(fleet, scripted)
        del platform.secrets[NS, "login"]
        await fleet.change_spec(new_instance(), size=2)
        await eventually(lambda: why_it_waits(fleet), lambda why: why == "ErrorGettingAuthCredentials", what="the wait")


@LOCAL
async def test_instance_that_waits_for_the_secret_goes_on_when_its_broker_is_deleted_after_it(fleet: Fleet) -> None:
    fleet.platform = platform = DistantPlatform()
    platform.put("login", username="ann", password="sesame")
    async with ScriptedBroker(basic=("ann", "sesame")) as scripted:
        await ready_instance(fleet, scripted)
        del platform.secrets[NS, "login"]
        await fleet.delete(new_instance())
        wanted = ("Unknown", "ErrorGettingAuthCredentials")
        await eventually(lambda: fleet.ready(INSTANCE, "one"), lambda seen: seen == wanted, what="the wait")
        await fleet.delete(new_broker(scripted.url))
        await fleet.until_gone(INSTANCE, "one")
        await fleet.until_gone(kinds.SERVICE_BROKER, "own")
        assert len(scripted.seen_of(osb.DEPROVISION)) == 1


@LOCAL
async def test_brokers_of_one_namespace_may_share_a_secret(fleet: Fleet) -> None:
    fleet.platform = platform = DistantPlatform()
    platform.put("login", username="ann", password="sesame")
    async with (
        ScriptedBroker(basic=("ann", "sesame")) as scripted,
        ScriptedBroker({"services": []}, basic=("ann", "sesame")) as other,
    ):
        await ready_instance(fleet, scripted)
        await fleet.create(new_broker(other.url, name="other"))
        await fleet.until_ready(kinds.SERVICE_BROKER, "other")
        # One goes, and with it its own copy alone.
        await fleet.delete(new_broker(other.url, name="other"))
        await fleet.until_gone(kinds.SERVICE_BROKER, "other")
    assert await copied(fleet) == {"username": "ann", "password": "sesame"}


async def ready_instance(fleet: Fleet, scripted: ScriptedBroker) -> None:
    await fleet.worker("ServiceInstance", "ServiceBroker")
    await fleet.create(new_broker(scripted.url))
    await fleet.until_ready(kinds.SERVICE_BROKER, "own")
    await fleet.create(new_instance())
    await fleet.until_ready(INSTANCE, "one")


def new_broker(url: str, *, name: str = "own") -> ServiceBroker:
    auth = BrokerAuth(basic=LocalSecretAuth(secret_ref=LocalObjectReference(name="login")))
    return ServiceBroker(metadata=ObjectMeta(name=name, namespace=NS), spec=ServiceBrokerSpec(url=url, auth_info=auth))


def new_instance() -> ServiceInstance:
    spec = ServiceInstanceSpec(service_class_external_name="test-service", service_plan_external_name="default")
    return ServiceInstance(metadata=ObjectMeta(name="one", namespace=NS), spec=spec)


async def why_it_waits(fleet: Fleet) -> str:
    found = await fleet.find(INSTANCE, "one")
    condition = find_condition(found.status.conditions, ConditionType.RECONCILING)
    return condition.reason if condition else ""


async def copied(fleet: Fleet) -> dict[str, str] | None:
    secrets = await fleet.front.database.run(lambda unit: unit.objects.list(kinds.SECRET, Listing(namespace=NS)))
    found = next((each for each in secrets if isinstance(each, Secret)), None)
    return None if found is None else {k: base64.b64decode(v).decode() for k, v in (found.data or {}).items()}
