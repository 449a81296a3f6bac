"""Deletions that used to hang until somebody removed a finalizer by hand: each has a way out by stock kubectl."""

import pytest

from chandlery.model.objects import kinds
from tests.conformance.platform import BINDING, BROKER, INSTANCE, SECRET, Platform, condition_of, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import BIND, DEPROVISION, POLL_INSTANCE, PROVISION, UNBIND, UPDATE

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = "http://127.0.0.1:1"
ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS, SUCCEEDED, FAILED = (
    Reply(200, {"state": state, "description": f"it {state}"}) for state in ("in progress", "succeeded", "failed")
)
REFUSED = Reply(403, {"description": "the harbour is closed"})
CONCURRENCY = Reply(422, {"error": "ConcurrencyError"})


async def _goes_down(platform: Platform) -> None:
    await platform.changes(BROKER, platform.broker_name, {"spec": {"url": NOBODY}})


async def _comes_back(platform: Platform) -> None:
    await platform.changes(BROKER, platform.broker_name, {"spec": {"url": platform.broker.url}})


async def _names_remedies(platform: Platform) -> None:
    """The status of a deleted instance says how it can be let go without its broker."""
    for way in ("chandlery.io/force-delete=true", "chandlery.io/abandon=true"):
        await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", reason="DeprovisionCallFailed", says=way)


async def test_deletion_goes_on_by_itself_when_the_broker_comes_back(platform: Platform) -> None:
    await platform.provisions()
    await _goes_down(platform)
    await platform.deletes(INSTANCE, "db")
    await _names_remedies(platform)
    await _comes_back(platform)
    await platform.until_gone(INSTANCE, "db")
    assert len(platform.broker.seen_of(DEPROVISION)) == 1


@pytest.mark.parametrize("order", ["abandon", "force_delete"])
async def test_instance_and_binding_go_on_order_while_the_broker_is_down(platform: Platform, order: str) -> None:
    await platform.provisions()
    await platform.binds()
    await _goes_down(platform)
    await platform.deletes(BINDING, "db-binding")
    await platform.until_condition(BINDING, "db-binding", "Ready", "Unknown", says="chandlery.io/abandon=true")
    await platform.deletes(INSTANCE, "db")
    await platform.annotates(BINDING, "db-binding", **{order: "true"})
    await platform.until_gone(BINDING, "db-binding")
    await platform.annotates(INSTANCE, "db", **{order: "true"})
    await platform.until_gone(INSTANCE, "db")
    assert platform.broker.seen_of(DEPROVISION) == platform.broker.seen_of(UNBIND) == []
    assert not await platform.exists(SECRET, "db-binding")


@pytest.mark.parametrize("order", ["abandon", "force_delete"])
async def test_instance_goes_on_order_while_the_broker_refuses_to_delete_it(platform: Platform, order: str) -> None:
    platform.broker.always(DEPROVISION, REFUSED)
    await platform.provisions()
    await platform.deletes(INSTANCE, "db")
    await _names_remedies(platform)
    await platform.annotates(INSTANCE, "db", **{order: "true"})
    await platform.until_gone(INSTANCE, "db")
    reason = "Abandoned" if order == "abandon" else "ForceDeleted"
    assert any(told.startswith(reason) for told in await platform.events("db"))


async def test_binding_goes_on_order_while_the_broker_refuses_to_unbind_it(platform: Platform) -> None:
    platform.broker.always(UNBIND, REFUSED)
    await platform.provisions()
    await platform.binds()
    await platform.deletes(BINDING, "db-binding")
    await platform.until_condition(BINDING, "db-binding", "Ready", "Unknown", says="the harbour is closed")
    await platform.annotates(BINDING, "db-binding", force_delete="true")
    await platform.until_gone(BINDING, "db-binding")


async def test_deprovisioning_that_has_failed_is_tried_again(platform: Platform) -> None:
    platform.broker.script(DEPROVISION, ACCEPTED, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, FAILED, FAILED)
    await platform.provisions()
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == 3


async def test_binding_whose_instance_was_abandoned_is_unbound_and_goes(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    await platform.annotates(INSTANCE, "db", abandon="true")
    await platform.deprovisions()
    await platform.unbinds()
    assert sequence(platform.broker.seen)[-1] == "DELETE binding"


async def test_binding_whose_instance_is_gone_goes_when_svcat_takes_its_finalizer(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    platform.broker.always(UNBIND, REFUSED)
    await platform.annotates(INSTANCE, "db", abandon="true")
    await platform.deprovisions()
    await platform.deletes(BINDING, "db-binding")
    await platform.changes(BINDING, "db-binding", {"metadata": {"finalizers": None}})
    await platform.until_gone(BINDING, "db-binding")


async def test_binding_to_nothing_goes_at_once(platform: Platform) -> None:
    await platform.creates_binding(to="nothing")
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="ReferencesNonexistentInstance")
    await platform.unbinds()
    assert platform.broker.seen == []


async def test_instance_that_bindings_block_says_so_and_goes_after_them(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    await platform.deletes(INSTANCE, "db")
    reason = "DeprovisionBlockedByExistingCredentials"
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason=reason, says="1 left")
    await platform.unbinds()
    await platform.until_gone(INSTANCE, "db")
    assert sequence(platform.broker.seen)[-2:] == ["DELETE binding", "DELETE instance"]


async def test_forced_deletion_of_an_instance_takes_its_bindings_along(platform: Platform) -> None:
    platform.broker.always(UNBIND, REFUSED)
    await platform.provisions()
    await platform.binds()
    await platform.annotates(INSTANCE, "db", force_delete="true")
    await platform.deprovisions()
    await platform.until_gone(BINDING, "db-binding")


async def test_broker_waits_for_its_instances_and_says_how_many(platform: Platform) -> None:
    await platform.provisions()
    await platform.deletes(BROKER, platform.broker_name)
    blocked = "DeletionBlockedByExistingInstances"
    await platform.until_condition(BROKER, platform.broker_name, "Ready", "False", reason=blocked, says="1 Service")
    await platform.deprovisions()
    await platform.until_gone(BROKER, platform.broker_name)


async def test_instance_goes_when_its_deleted_broker_is_registered_again(platform: Platform) -> None:
    await platform.provisions()
    await platform.annotates(BROKER, platform.broker_name, force_delete="true")
    await platform.deletes(BROKER, platform.broker_name)
    await platform.until_gone(BROKER, platform.broker_name)
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", says="Register it again under the same name")
    await platform.registers()
    await platform.until_gone(INSTANCE, "db")
    assert len(platform.broker.seen_of(DEPROVISION)) == 1


async def test_instance_and_binding_of_a_deleted_broker_can_be_abandoned(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    await platform.annotates(BROKER, platform.broker_name, force_delete="true")
    await platform.deletes(BROKER, platform.broker_name)
    await platform.until_gone(BROKER, platform.broker_name)
    for kind, name in ((BINDING, "db-binding"), (INSTANCE, "db")):
        await platform.deletes(kind, name)
        await platform.until_condition(kind, name, "Ready", "Unknown", says="chandlery.io/abandon=true")
        await platform.annotates(kind, name, abandon="true")
        await platform.until_gone(kind, name)


async def test_instance_goes_although_its_class_was_deleted_first(platform: Platform) -> None:
    await platform.provisions()
    for kind in (kinds.CLUSTER_SERVICE_PLAN, kinds.CLUSTER_SERVICE_CLASS):
        for each in await platform.lists(kind):
            if each["spec"]["clusterServiceBrokerName"] == platform.broker_name:
                await platform.deletes(kind, each["metadata"]["name"])
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == 1


@pytest.mark.parametrize("body", [b"", b"gone", b"<html>"], ids=["nothing", "text", "html"])
async def test_instance_and_binding_go_when_410_says_nothing_else(platform: Platform, body: bytes) -> None:
    platform.broker.always(DEPROVISION, Reply(410, body))
    platform.broker.always(UNBIND, Reply(410, body))
    await platform.provisions()
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == len(platform.broker.seen_of(UNBIND)) == 1


@pytest.mark.parametrize("way", ["the Secret comes back", "abandon"])
async def test_deletion_waits_for_the_vanished_secret_of_the_broker(platform: Platform, way: str) -> None:
    keys = {"username": "ann", "password": "secret"}
    await platform.creates(SECRET, "harbour", keys)
    reference = {"secretRef": {"namespace": platform.namespace, "name": "harbour"}}
    await platform.registers(authInfo={"basic": reference})
    await platform.provisions()
    await platform.deletes(SECRET, "harbour")
    await platform.deletes(INSTANCE, "db")
    missing = f'the Secret "{platform.namespace}/harbour" does not exist'
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", says=missing)
    if way == "abandon":
        await platform.annotates(INSTANCE, "db", abandon="true")
    else:
        await platform.creates(SECRET, "harbour", keys)
    await platform.until_gone(INSTANCE, "db")
    assert len(platform.broker.seen_of(DEPROVISION)) == (0 if way == "abandon" else 1)


@pytest.mark.parametrize("operation", ["Provision", "Update"])
async def test_instance_goes_in_the_middle_of_an_operation(platform: Platform, operation: str) -> None:
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    platform.broker.script(PROVISION if operation == "Provision" else UPDATE, ACCEPTED)
    await platform.creates_instance()
    if operation == "Update":
        await platform.until_ready(INSTANCE, "db")
        await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.broker.wait_for(POLL_INSTANCE, 2)
    await platform.deprovisions()
    assert sequence(platform.broker.seen)[-1] == "DELETE instance"


async def test_instance_goes_after_the_operation_that_the_broker_will_not_interrupt(platform: Platform) -> None:
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    platform.broker.script(DEPROVISION, CONCURRENCY)
    await platform.creates_instance()
    await platform.broker.wait_for(POLL_INSTANCE)
    await platform.deletes(INSTANCE, "db")
    await platform.broker.wait_for(DEPROVISION)
    platform.broker.always(POLL_INSTANCE, SUCCEEDED)
    await platform.until_gone(INSTANCE, "db")
    assert len(platform.broker.seen_of(DEPROVISION)) == 2


async def test_binding_goes_in_the_middle_of_its_creation(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    platform.broker.script(BIND, ACCEPTED)
    await platform.provisions()
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="Binding")
    await platform.unbinds()
    assert sequence(platform.broker.seen)[-1] == "DELETE binding"


@pytest.mark.parametrize("way", ["the broker comes back", "abandon"])
async def test_namespace_goes_whatever_its_brokers_health(platform: Platform, way: str) -> None:
    await platform.provisions()
    await platform.binds()
    await _goes_down(platform)
    await platform.deletes(kinds.NAMESPACE, platform.namespace)
    await platform.until_condition(BINDING, "db-binding", "Ready", "Unknown", says="chandlery.io/abandon=true")
    if way == "abandon":
        await platform.annotates(INSTANCE, "db", abandon="true")
        await platform.annotates(BINDING, "db-binding", abandon="true")
    else:
        await _comes_back(platform)
    await platform.until_gone(kinds.NAMESPACE, platform.namespace)


async def test_secret_of_somebody_else_survives_the_binding_that_wants_its_name(platform: Platform) -> None:
    await platform.creates(SECRET, "precious", {"key": "mine"})
    await platform.provisions()
    await platform.creates_binding(secretName="precious")
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="ErrorInjectingBindResult")
    await platform.unbinds()
    assert await platform.credentials("precious") == {"key": b"mine"}
    assert condition_of(await platform.reads(INSTANCE, "db"), "Ready")["status"] == "True"
