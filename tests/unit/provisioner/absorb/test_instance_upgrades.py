"""Maintenance upgrades: the version that a plan offers, the one that an instance has, and the one that is desired."""

from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.instances import InstancePropertiesState, MaintenanceInfo
from chandlery.osb.operations.instance_calls import ProvisionRequest, UpdateRequest
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.reconcile_result import Idle, Refuse
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.decide.planned_calls import note_of, request_of
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import Action, AlreadyApplied, Provision, Update
from tests.unit.provisioner.builders import (
    LANE,
    LARGE,
    NOW,
    SERVICE,
    SMALL,
    make_instance,
    make_namespaced_offering,
    make_offering,
    make_snapshot,
    notes,
    pause,
    provisioned,
    remembering,
    reply,
    sent,
    told,
    told_message,
)

PROVISION, UPDATE = InstancePurpose.PROVISION, InstancePurpose.UPDATE
CONFLICT = {"error": "MaintenanceInfoConflict"}


def offering(version: str | None, plan: str = "small", **fields: Any) -> Offering:
    """A plan that delivers this version now."""
    return make_offering(plan, maintenance_info=MaintenanceInfo(version=version) if version else None, **fields)


def having(version: str | None, desired: str | None = None, **fields: Any) -> Any:
    """An instance of this version, that wants another."""
    has = InstancePropertiesState(
        cluster_service_plan_external_name="small",
        cluster_service_plan_external_id=SMALL,
        maintenance_version=version,
    )
    return provisioned(external_properties=has, spec={"maintenance_version": desired}, **fields)


CREATIONS: list[Any] = [
    pytest.param(None, None, Provision(SERVICE, SMALL, None), id="a plan without versions"),
    pytest.param("2.0.0", None, Provision(SERVICE, SMALL, None, "2.0.0"), id="no spec"),
    pytest.param("2.0.0", "2.0.0", Provision(SERVICE, SMALL, None, "2.0.0"), id="wants what is offered"),
]


@pytest.mark.parametrize(("offered", "desired", "expected"), CREATIONS)
def test_a_creation_names_the_version_that_its_plan_delivers(
    offered: str | None, desired: str | None, expected: Action
) -> None:
    instance = make_instance(spec={"maintenance_version": desired})

    assert decide(make_snapshot(instance, offering=offering(offered))) == expected


def test_a_broker_of_old_is_told_no_version_and_none_is_put_on_record() -> None:
    snapshot = make_snapshot(offering=offering("2.0.0", broker_fields={"osb_api_version": "2.14"}))

    action = decide(snapshot)

    assert action == Provision(SERVICE, SMALL, None)
    note = note_of(snapshot, Provision(SERVICE, SMALL, None), NOW)
    assert note.properties is not None
    assert note.properties.maintenance_version is None


UPDATES: list[Any] = [
    pytest.param("1.0.0", "2.0.0", "2.0.0", Update(SERVICE, SMALL, None, None, "2.0.0", "1.0.0"), id="an upgrade"),
    pytest.param(None, "2.0.0", "2.0.0", Update(SERVICE, SMALL, None, None, "2.0.0", None), id="a first version"),
    pytest.param("2.0.0", "2.0.0", "2.0.0", AlreadyApplied(), id="it has what is desired"),
    pytest.param("1.0.0", "1.0.0", "2.0.0", AlreadyApplied(), id="it has what is desired, and more is offered"),
    pytest.param("1.0.0", None, "2.0.0", AlreadyApplied(), id="no spec"),
]


@pytest.mark.parametrize(("has", "desired", "offered", "expected"), UPDATES)
def test_an_update_names_a_version_only_when_another_is_wanted(
    has: str | None, desired: str | None, offered: str, expected: Action
) -> None:
    snapshot = make_snapshot(having(has, desired, generation=2), memory=remembering(), offering=offering(offered))

    assert decide(snapshot) == expected


def test_a_plan_change_says_which_version_the_instance_has() -> None:
    snapshot = make_snapshot(
        having("1.0.0", generation=2),
        memory=remembering(),
        offering=offering("5.0.0", "large"),
        current_plan=make_offering().plan,
    )

    assert decide(snapshot) == Update(SERVICE, SMALL, LARGE, None, None, "1.0.0")


@pytest.mark.parametrize(("offered", "words"), [("2.0.0", "'2.0.0'"), (None, "does not offer versions")])
def test_a_version_that_is_not_offered_is_refused(offered: str | None, words: str) -> None:
    snapshot = make_snapshot(having("1.0.0", "3.0.0", generation=2), memory=remembering(), offering=offering(offered))

    action = decide(snapshot)
    assert isinstance(action, Refuse)
    assert words in action.message
    assert "'3.0.0'" in action.message
    change = outcomes.refuse(snapshot, action, NOW)

    assert told(change) == ("True", "ProvisionedSuccessfully")
    assert told(change, ConditionType.FAILED) == ("True", "UpdateInstanceCallFailed")
    assert "old plan 'small'" in told_message(change, ConditionType.FAILED)


def test_a_new_instance_of_a_version_that_is_not_offered_is_refused() -> None:
    snapshot = make_snapshot(make_instance(spec={"maintenance_version": "3.0.0"}), offering=offering("2.0.0"))

    action = decide(snapshot)
    assert isinstance(action, Refuse)

    assert told(outcomes.refuse(snapshot, action, NOW)) == ("False", "ProvisionCallFailed")


def test_an_upgrade_is_put_on_record_when_it_has_succeeded() -> None:
    snapshot = make_snapshot(having("1.0.0", "2.0.0", generation=2), memory=remembering(), offering=offering("2.0.0"))
    action = decide(snapshot)
    assert isinstance(action, Update)
    note = note_of(snapshot, action, NOW)

    failed = absorb(snapshot, note, reply(UPDATE, 409), NOW)
    change = absorb(snapshot, note, reply(UPDATE, 200), NOW)

    assert failed.document.status.external_properties == snapshot.instance.status.external_properties
    assert change.document.status.external_properties is not None
    assert change.document.status.external_properties.maintenance_version == "2.0.0"
    assert change.document.status.upgrade_available is None


def test_an_update_of_something_else_keeps_the_version_on_record() -> None:
    snapshot = make_snapshot(having("1.0.0", generation=2), memory=remembering(), offering=offering("2.0.0"))
    note = note_of(snapshot, Update(SERVICE, SMALL, None, {}, None, "1.0.0"), NOW)

    change = absorb(snapshot, note, reply(UPDATE, 200), NOW)

    assert change.document.status.external_properties is not None
    assert change.document.status.external_properties.maintenance_version == "1.0.0"
    assert change.document.status.upgrade_available == MaintenanceInfo(version="2.0.0")


@pytest.mark.parametrize(
    ("has", "offered", "expected"),
    [("1.0.0", "2.0.0", "2.0.0"), ("2.0.0", "2.0.0", None), ("1.0.0", None, None), (None, "2.0.0", "2.0.0")],
)
def test_an_instance_shows_the_upgrade_that_its_plan_offers(
    has: str | None, offered: str | None, expected: str | None
) -> None:
    snapshot = make_snapshot(having(has), memory=remembering(), offering=offering(offered))

    shown = outcomes.idle(snapshot, NOW).document.status.upgrade_available

    assert (shown.version if shown else None) == expected


def test_an_instance_looks_at_the_plan_that_it_has_for_upgrades() -> None:
    snapshot = make_snapshot(
        having("1.0.0"), memory=remembering(), offering=offering("9.0.0", "large"), current_plan=offering("2.0.0").plan
    )

    assert outcomes.idle(snapshot, NOW).document.status.upgrade_available == MaintenanceInfo(version="2.0.0")


def test_an_instance_at_rest_is_woken_when_its_plan_offers_another_version() -> None:
    first = outcomes.idle(make_snapshot(having("1.0.0"), memory=remembering(), offering=offering("1.0.0")), NOW)
    second = outcomes.idle(make_snapshot(first.document, memory=notes(first), offering=offering("1.0.0")), NOW)

    assert first.next.interests == ("offering:/small-object",)
    assert second.next.interests is None
    assert outcomes.idle(make_snapshot(having("1.0.0"), memory=remembering()), NOW).next.interests is None


@pytest.mark.parametrize(
    ("snapshot", "purpose"),
    [
        pytest.param(make_snapshot(offering=offering("1.0.0")), PROVISION, id="creation"),
        pytest.param(
            make_snapshot(having("1.0.0", "2.0.0", generation=2), memory=remembering(), offering=offering("2.0.0")),
            UPDATE,
            id="update",
        ),
    ],
)
def test_a_catalog_that_is_out_of_date_is_fetched_again_and_the_request_is_made_again(
    snapshot: Any, purpose: InstancePurpose
) -> None:
    change = absorb(snapshot, sent(purpose, generation=snapshot.generation), reply(purpose, 422, CONFLICT), NOW)

    assert f"relist:{LANE}" in change.wakes
    kind = ConditionType.RECONCILING if purpose == UPDATE else ConditionType.READY
    assert "its catalog is fetched again" in told_message(change, kind)
    assert not change.document.status.orphan_mitigation_in_progress
    assert pause(change) is not None
    assert change.sealed is None


def test_another_conflict_does_not_have_the_catalog_fetched() -> None:
    change = absorb(make_snapshot(), sent(PROVISION), reply(PROVISION, 422, {"error": "Other"}), NOW)

    assert change.wakes == ()


def test_versions_travel_as_they_are() -> None:
    snapshot = make_snapshot(having("1.0.0", "2.0.0", generation=2), memory=remembering(), offering=offering("2.0.0"))
    update, creation = decide(snapshot), Provision(SERVICE, SMALL, None, "2.0.0")
    assert isinstance(update, Update)

    sent_update = request_of(snapshot, update, space_guid="space", cluster_id="cluster")
    sent_creation = request_of(snapshot, creation, space_guid="space", cluster_id="cluster")

    assert isinstance(sent_update, UpdateRequest)
    assert (sent_update.maintenance_version, sent_update.previous_maintenance_version) == ("2.0.0", "1.0.0")
    assert isinstance(sent_creation, ProvisionRequest)
    assert sent_creation.maintenance_version == "2.0.0"


def test_a_namespaced_plan_changes_like_any_other() -> None:
    has = InstancePropertiesState(service_plan_external_name="small", service_plan_external_id=SMALL)
    instance = provisioned(generation=2, external_properties=has)
    wanted = make_namespaced_offering("large")
    small = make_namespaced_offering().plan

    action = decide(make_snapshot(instance, memory=remembering(), offering=wanted, current_plan=small))
    assert isinstance(action, Update)
    assert action == Update(SERVICE, SMALL, LARGE, None)
    note = note_of(make_snapshot(instance, memory=remembering(), offering=wanted), action, NOW)

    assert note.properties is not None
    assert note.properties.service_plan_external_id == LARGE


def test_an_instance_at_rest_stays_there_when_an_upgrade_is_offered() -> None:
    assert decide(make_snapshot(having("1.0.0"), memory=remembering(), offering=offering("2.0.0"))) == Idle()
