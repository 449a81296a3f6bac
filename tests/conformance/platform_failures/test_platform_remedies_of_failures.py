"""States that used to be the end of an instance or a binding: the spec can be corrected, or it is tried again."""

import asyncio
from typing import Any

import pytest

from chandlery.model.objects import kinds
from tests.conformance.platform import (
    BINDING,
    INSTANCE,
    QUICK,
    SECRET,
    Platform,
    condition_of,
    is_ready,
    is_settled,
    sequence,
)
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import BIND, DEPROVISION, POLL_INSTANCE, PROVISION, UNBIND, UPDATE

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})
FAILED = Reply(200, {"state": "failed", "description": "no room"})
BROKEN = Reply(500, {"description": "no room"})
AGAIN = "chandlery.io/retry-requested-at=$(date +%s)"
LARGE = {"clusterServicePlanExternalName": "large"}
IMPATIENT: dict[str, Any] = {"retryPolicy": {"initialDelay": "10ms", "maximumDelay": "20ms", "giveUpAfter": "100ms"}}


@pytest.mark.parametrize("status", [401, 404, 500, 502], ids=str)
async def test_polls_go_on_after_errors(platform: Platform, status: int) -> None:
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, Reply(status), Reply(200, b"<html>"), Reply(close=True))
    await platform.provisions()
    assert len(platform.broker.seen_of(POLL_INSTANCE)) == 4


async def test_creation_that_failed_and_was_cleaned_up_after_keeps_its_cause_and_names_the_next_try(
    platform: Platform,
) -> None:
    on_fire = Reply(500, {"description": "disk on fire"})
    await platform.registers(retryPolicy={"initialDelay": "1h", "maximumDelay": "1h"})
    platform.broker.script(PROVISION, on_fire)
    await platform.creates_instance()
    says = "disk on fire. Anything it may have left at the service broker has been deleted"
    found = await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="ProvisionCallFailed", says=says)
    message = condition_of(found, "Ready")["message"]
    assert f"The next attempt is at {found['status']['nextAttemptTime']}" in message
    assert message.endswith(f"kubectl annotate serviceinstance db -n {platform.namespace} --overwrite {AGAIN}")
    assert found["status"]["lastConditionState"] == "ProvisionCallFailed"
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")
    platform.broker.script(BIND, on_fire)
    await platform.creates_binding()
    says = "disk on fire. Anything it may have left at the service broker has been unbound. The next attempt is at"
    found = await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="BindCallFailed", says=says)
    assert found["status"]["lastConditionState"] == "BindCallFailed"
    await platform.annotates(BINDING, "db-binding", retry_requested_at="now")
    await platform.until_ready(BINDING, "db-binding")


@pytest.mark.parametrize("status", [400, 403, 422, 500], ids=str)
async def test_provisioning_that_fails_can_be_corrected(platform: Platform, status: int) -> None:
    bad, good = {"size": -1}, {"size": 1}
    refusal = Reply(status, {"description": "no"})
    platform.broker.always(PROVISION, lambda seen: Reply(201) if seen.body.get("parameters") == good else refusal)
    await platform.creates_instance(parameters=bad)
    await platform.until_condition(INSTANCE, "db", "Ready", "False")
    await platform.updates(parameters=good)
    assert platform.broker.seen_of(PROVISION)[-1].body["parameters"] == good


@pytest.mark.parametrize("status", [400, 403, 422, 500], ids=str)
async def test_update_that_fails_leaves_the_instance_ready_and_can_be_corrected(
    platform: Platform, status: int
) -> None:
    bad, good = {"size": -1}, {"size": 2}
    platform.broker.always(
        UPDATE, lambda seen: Reply(200) if seen.body.get("parameters") == good else Reply(status, {"description": "no"})
    )
    await platform.provisions(parameters={"size": 1})
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": bad}})
    kind = "Failed" if status == 400 else "Reconciling"
    found = await platform.until_condition(
        INSTANCE, "db", kind, reason="UpdateInstanceCallFailed", says="old parameters"
    )
    assert is_ready(found)
    await platform.updates(parameters=good)


async def test_update_that_has_failed_for_good_can_be_taken_back(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    platform.broker.script(UPDATE, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, FAILED)
    await platform.provisions(plan="small")
    await platform.changes(INSTANCE, "db", {"spec": LARGE})
    failed = await platform.until_failed(INSTANCE, "db", says="still runs with its old plan 'small'")
    assert is_ready(failed) and "chandlery.io/retry-requested-at" in condition_of(failed, "Failed")["message"]
    found = await platform.updates(clusterServicePlanExternalName="small")
    assert condition_of(found, "Failed") == {}
    assert found["status"]["externalProperties"]["clusterServicePlanExternalName"] == "small"
    assert len(platform.broker.seen_of(UPDATE)) == 1


async def test_update_that_has_failed_for_good_is_tried_again_on_order(platform: Platform) -> None:
    platform.broker.script(UPDATE, Reply(400, {"description": "no room"}))
    await platform.provisions()
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.until_failed(INSTANCE, "db", says="no room")
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until(INSTANCE, "db", lambda found: is_ready(found) and is_settled(found), "be updated")


async def test_retries_come_to_an_end_that_an_order_goes_beyond(platform: Platform) -> None:
    platform.broker.always(PROVISION, Reply(403, {"description": "closed"}))
    await platform.registers(**IMPATIENT)
    await platform.creates_instance()
    await platform.until_failed(INSTANCE, "db", says="chandlery.io/retry-requested-at")
    platform.broker.always(PROVISION, None)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503], ids=str)
async def test_bind_is_tried_again_after_an_error_that_is_not_about_it(platform: Platform, status: int) -> None:
    platform.broker.script(BIND, Reply(status))
    await platform.provisions()
    await platform.binds()
    assert len(platform.broker.seen_of(BIND)) == 2


async def test_bind_that_was_refused_for_good_is_tried_again_on_order(platform: Platform) -> None:
    platform.broker.script(BIND, Reply(400, {"description": "no room"}))
    await platform.provisions()
    await platform.creates_binding()
    await platform.until_failed(BINDING, "db-binding", says="chandlery.io/retry-requested-at")
    await platform.annotates(BINDING, "db-binding", retry_requested_at="now")
    await platform.until_ready(BINDING, "db-binding")


async def test_bind_is_not_sent_again_when_its_secret_could_not_be_written(platform: Platform) -> None:
    await platform.creates(SECRET, "db-binding", {"key": "mine"})
    await platform.provisions()
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="ErrorInjectingBindResult")
    await platform.deletes(SECRET, "db-binding")
    await platform.until_ready(BINDING, "db-binding")
    assert (await platform.credentials())["username"] == b"user"
    assert len(platform.broker.seen_of(BIND)) == 1


async def test_deleted_credentials_come_back(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    before = await platform.credentials()
    await platform.deletes(SECRET, "db-binding")
    await platform.until(SECRET, "db-binding", lambda found: bool(found.get("data")), "be there again")
    assert await platform.credentials() == before
    assert len(platform.broker.seen_of(BIND)) == 1


async def test_plan_of_a_namespaced_offering_can_be_changed(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.creates(kinds.SERVICE_BROKER, "mine", {"url": platform.broker.url, **QUICK})
    await platform.until_ready(kinds.SERVICE_BROKER, "mine")
    spec = {"serviceClassExternalName": platform.offering_name, "servicePlanExternalName": "small"}
    await platform.creates(INSTANCE, "db", spec)
    await platform.until_ready(INSTANCE, "db")
    await platform.updates(servicePlanExternalName="large")
    [patch] = platform.broker.seen_of(UPDATE)
    assert patch.body["plan_id"] == f"{platform.offering_name}-large-id"
    assert patch.body["previous_values"]["plan_id"] == f"{platform.offering_name}-small-id"
    await platform.deprovisions()


async def test_mitigation_is_not_held_up_by_a_binding_that_waits_for_the_instance(platform: Platform) -> None:
    platform.broker.script(PROVISION, BROKEN)
    platform.broker.script(DEPROVISION, BROKEN)
    await platform.registers()
    await platform.creates_binding()
    await platform.provisions()
    await platform.until_ready(BINDING, "db-binding")
    asked = [each for each in sequence(platform.broker.seen) if each != "GET catalog"]
    assert asked == ["PUT instance", "DELETE instance", "DELETE instance", "PUT instance", "PUT binding"]


async def test_deletion_is_not_held_up_by_a_binding_that_was_never_sent(platform: Platform) -> None:
    platform.broker.always(PROVISION, Reply(400))
    await platform.registers()
    await platform.creates_instance()
    await platform.creates_binding()
    await platform.until_failed(INSTANCE, "db")
    await platform.unbinds()
    await platform.deprovisions()
    assert platform.broker.seen_of(UNBIND) == platform.broker.seen_of(DEPROVISION) == []


async def test_parameters_that_are_taken_away_are_taken_away_at_the_broker(platform: Platform) -> None:
    await platform.provisions(parameters={"size": 1})
    await platform.updates(parameters=None)
    [patch] = platform.broker.seen_of(UPDATE)
    assert patch.body["parameters"] == {}


async def test_parameters_of_a_secret_are_followed_where_that_is_wanted(platform: Platform) -> None:
    await platform.creates(SECRET, "more", {"json": '{"size": 1}'})
    source = [{"secretKeyRef": {"name": "more", "key": "json"}}]
    await platform.provisions(parametersFrom=source, watchParametersFrom=True)
    await platform.changes(SECRET, "more", {"stringData": {"json": '{"size": 2}'}})
    [patch] = await platform.broker.wait_for(UPDATE)
    assert patch.body["parameters"] == {"size": 2}


async def test_specification_can_be_changed_while_an_update_is_under_way(platform: Platform) -> None:
    gate = asyncio.Event()
    platform.broker.script(UPDATE, Reply(500, gate=gate))
    await platform.provisions()
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": -1}}})
    await platform.broker.wait_for(UPDATE)
    changed = await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    gate.set()
    generation = changed["metadata"]["generation"]
    await platform.until(
        INSTANCE, "db", lambda found: is_ready(found) and found["status"]["reconciledGeneration"] == generation, "be so"
    )
    assert platform.broker.seen_of(UPDATE)[-1].body["parameters"] == {"size": 2}


async def test_class_and_plan_that_come_back_are_noticed_by_those_who_wait(platform: Platform) -> None:
    platform.offers("small")
    await platform.registers()
    await platform.creates_instance(plan="large")
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="ReferencesNonexistentServicePlan")
    platform.offers("small", "large")
    await platform.relists()
    await platform.until_ready(INSTANCE, "db")
