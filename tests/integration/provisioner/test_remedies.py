"""The remedy of every state, through the API: requested actions, and failed updates that leave things running."""

import pytest

from tests.conformance.platform import BINDING, BROKER, INSTANCE, SECRET, Platform, condition_of, is_ready, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import DEPROVISION, FETCH_INSTANCE, PROVISION, UPDATE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_instance_with_a_binding_goes_by_force(platform: Platform) -> None:
    await platform.provisions("db")
    await platform.binds("db-binding")
    platform.broker.script(DEPROVISION, Reply(500, {"description": "not today"}))

    await platform.annotates(INSTANCE, "db", force_delete="true")
    await platform.deletes(INSTANCE, "db")
    await platform.until_gone(INSTANCE, "db")
    await platform.until_gone(BINDING, "db-binding")

    assert len(platform.broker.seen_of(DEPROVISION)) == 1
    assert any("ForceDeleted" in event and "not today" in event for event in await platform.events("db"))


async def test_an_instance_is_abandoned_after_its_deletion_has_failed(platform: Platform) -> None:
    await platform.provisions("db")
    platform.broker.script(DEPROVISION, *[Reply(500)] * 50)
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", says="chandlery.io/abandon=true")

    await platform.annotates(INSTANCE, "db", abandon="true")
    await platform.until_gone(INSTANCE, "db")

    assert any(event.startswith("Abandoned") for event in await platform.events("db"))


async def test_a_failed_update_leaves_the_instance_ready_and_is_tried_again_on_request(platform: Platform) -> None:
    await platform.provisions("db", parameters={"size": 1})
    platform.broker.script(UPDATE, Reply(400, {"description": "too large"}))
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 9}}})
    failed = await platform.until_failed(INSTANCE, "db", says="too large")
    assert is_ready(failed)
    assert "old plan 'default'" in condition_of(failed, "Failed")["message"]
    assert failed["status"]["externalProperties"]["parameters"] == {"size": 1}

    await platform.annotates(INSTANCE, "db", retry_requested_at="1")
    await platform.until(
        INSTANCE, "db", lambda found: found["status"]["externalProperties"]["parameters"] == {"size": 9}, "be larger"
    )

    assert len(platform.broker.seen_of(UPDATE)) == 2


async def test_an_orphan_waits_for_a_person_and_is_deleted_on_request(platform: Platform) -> None:
    await platform.registers(orphanMitigation="Manual")
    platform.broker.script(PROVISION, Reply(500))
    await platform.creates_instance("db")
    held = await platform.until_condition(INSTANCE, "db", "OrphanMitigation", reason="OrphanMitigationRequired")
    assert held["status"]["lastConditionState"] == "OrphanMitigation"
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen)[1:] == ["PUT instance"]

    await platform.annotates(INSTANCE, "db", orphan_mitigation="Automatic")
    await platform.until_ready(INSTANCE, "db")

    assert sequence(platform.broker.seen)[1:] == ["PUT instance", "DELETE instance", "PUT instance"]


async def test_an_orphan_that_waits_is_deleted_when_the_broker_is_changed_to_do_so(platform: Platform) -> None:
    await platform.registers(orphanMitigation="Manual")
    platform.broker.script(PROVISION, Reply(500))
    await platform.creates_instance("db")
    await platform.until_condition(INSTANCE, "db", "OrphanMitigation", reason="OrphanMitigationRequired")

    await platform.changes(BROKER, platform.broker_name, {"spec": {"orphanMitigation": "Automatic"}})
    await platform.until_ready(INSTANCE, "db")

    assert len(platform.broker.seen_of(DEPROVISION)) == 1


async def test_a_waived_orphan_is_left_there(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, *[Reply(500)] * 50)
    await platform.creates_instance("db")
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", says="orphan-mitigation=Waive")

    await platform.annotates(INSTANCE, "db", orphan_mitigation="Waive")
    await platform.until_ready(INSTANCE, "db")

    assert len(platform.broker.seen_of(PROVISION)) == 2


async def test_a_watched_secret_is_an_update_of_its_own(platform: Platform) -> None:
    await platform.creates(SECRET, "words", {"json": '{"size": 1}'})
    source = [{"secretKeyRef": {"name": "words", "key": "json"}}]
    await platform.provisions("db", parametersFrom=source, watchParametersFrom=True)
    await platform.comes_to_rest()

    await platform.changes(SECRET, "words", {"stringData": {"json": '{"size": 2}'}})
    await platform.broker.wait_for(UPDATE, 1)
    await platform.comes_to_rest()

    [update] = platform.broker.seen_of(UPDATE)
    assert update.body["parameters"] == {"size": 2}
    assert "X-Broker-API-Originating-Identity" not in update.headers
    found = await platform.reads(INSTANCE, "db")
    assert (found["metadata"]["generation"], is_ready(found)) == (1, True)


async def test_a_broker_tells_what_it_has_where_it_can(platform: Platform) -> None:
    platform.offers("default", instances_retrievable=True)
    platform.broker.script(
        FETCH_INSTANCE, Reply(200, {"dashboard_url": "https://db.example.com", "metadata": {"labels": {"zone": "a"}}})
    )
    await platform.provisions("db")
    shown = await platform.until(INSTANCE, "db", lambda found: "dashboardURL" in found["status"], "have a dashboard")
    await platform.comes_to_rest()

    assert shown["status"]["brokerMetadata"] == {"labels": {"zone": "a"}}
    assert len(platform.broker.seen_of(FETCH_INSTANCE)) == 1


async def test_an_upgrade_is_shown_and_made_on_request(platform: Platform) -> None:
    platform.offers(simple_plan(maintenance_version="1.0.0"))
    await platform.provisions("db")
    platform.offers(simple_plan(maintenance_version="2.0.0"))
    await platform.relists()
    await platform.until(
        INSTANCE, "db", lambda found: found["status"].get("upgradeAvailable", {}).get("version") == "2.0.0", "show it"
    )

    await platform.updates("db", maintenanceVersion="2.0.0")

    [update] = platform.broker.seen_of(UPDATE)
    assert update.body["maintenance_info"] == {"version": "2.0.0"}
    assert update.body["previous_values"]["maintenance_info"] == {"version": "1.0.0"}
    assert "upgradeAvailable" not in (await platform.reads(INSTANCE, "db"))["status"]


async def test_an_annotation_is_told_to_a_broker_that_wants_to_hear(platform: Platform) -> None:
    platform.offers("default", allow_context_updates=True)
    await platform.registers(contextAnnotations=["acme.com/"])
    await platform.provisions("db")

    await platform.changes(INSTANCE, "db", {"metadata": {"annotations": {"acme.com/cost": "7"}}})
    await platform.broker.wait_for(UPDATE, 1)
    await platform.comes_to_rest()

    [update] = platform.broker.seen_of(UPDATE)
    assert update.body["context"]["instance_annotations"] == {"acme.com/cost": "7"}
    assert not {"plan_id", "parameters"} & update.body.keys()
