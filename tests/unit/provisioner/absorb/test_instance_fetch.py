"""Asking the broker once what it has, and what of its word is taken over."""

from typing import Any

import pytest

from chandlery.model.objects.instances import BrokerMetadata, InstancePropertiesState
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import Idle, Wait
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.broker_metadata import LONGEST_ATTRIBUTES, adopted
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import (
    AlreadyApplied,
    Deprovision,
    FetchInstance,
    InstanceSnapshot,
    Update,
)
from tests.unit.provisioner.builders import (
    FAILED,
    LANE,
    LARGE,
    NO_SECRET,
    NOT_READY,
    NOW,
    SMALL,
    fact_reasons,
    make_instance,
    make_offering,
    make_snapshot,
    notes,
    pause,
    provisioned,
    remembering,
    reply,
    sent,
    timed_out,
    told,
    unreachable,
    working,
)

PROVISION, UPDATE, POLL, FETCH = (
    InstancePurpose.PROVISION,
    InstancePurpose.UPDATE,
    InstancePurpose.POLL,
    InstancePurpose.FETCH,
)
OPEN = make_offering(class_fields={"instances_retrievable": True})
OLD = make_offering(class_fields={"instances_retrievable": True}, broker_fields={"osb_api_version": "2.13"})
UPDATABLE = make_snapshot(provisioned(), memory=remembering(), offering=OPEN)
SUCCEEDED = {"state": "succeeded"}


@pytest.mark.parametrize(
    ("snapshot", "purpose", "status"),
    [
        pytest.param(make_snapshot(offering=OPEN), PROVISION, 201, id="creation"),
        pytest.param(UPDATABLE, UPDATE, 200, id="update"),
        pytest.param(make_snapshot(working("Provision"), offering=OPEN), POLL, 200, id="asynchronous creation"),
        pytest.param(make_snapshot(working("Update"), offering=OPEN), POLL, 200, id="asynchronous update"),
    ],
)
def test_the_broker_is_asked_once_after_a_success(
    snapshot: InstanceSnapshot, purpose: InstancePurpose, status: int
) -> None:
    done = absorb(snapshot, sent(purpose), reply(purpose, status, SUCCEEDED), NOW)
    assert pause(done) == 0
    following = make_snapshot(done.document, memory=notes(done), offering=OPEN)
    assert decide(following) == FetchInstance(notes(done).service_id, notes(done).plan_id)

    fetched = absorb(following, sent(FETCH), reply(FETCH, 200, {}), NOW)

    assert fetched.next.due_at is None
    assert told(fetched) == told(done)
    assert fetched.facts == ()
    assert decide(make_snapshot(fetched.document, memory=notes(fetched), offering=OPEN)) == Idle()


@pytest.mark.parametrize("offering", [make_offering(), OLD], ids=["not retrievable", "an old version"])
def test_a_broker_that_cannot_tell_is_not_asked(offering: Any) -> None:
    done = absorb(make_snapshot(offering=offering), sent(PROVISION), reply(PROVISION, 201), NOW)

    assert done.next.due_at is None
    assert decide(make_snapshot(done.document, memory=notes(done), offering=offering)) == Idle()


@pytest.mark.parametrize("status", [400, 429, 500])
def test_the_broker_is_not_asked_after_a_failure(status: int) -> None:
    change = absorb(make_snapshot(offering=OPEN), sent(PROVISION), reply(PROVISION, status), NOW)

    assert not notes(change).is_fetch_due


DUE = remembering(is_fetch_due=True)


def test_a_fetch_comes_after_everything_else() -> None:
    newer = provisioned(generation=2, spec={"update_requests": 1})

    assert isinstance(decide(make_snapshot(newer, memory=DUE, offering=OPEN)), Update)
    assert isinstance(decide(make_snapshot(provisioned(deleted=True), memory=DUE, offering=OPEN)), Deprovision)


def test_a_fetch_does_not_make_an_instance_wait_for_the_brokers_credentials() -> None:
    snapshot = make_snapshot(provisioned(), memory=DUE, offering=OPEN, access=NO_SECRET)

    assert decide(snapshot) == Idle()
    assert outcomes.idle(snapshot, NOW).next.due_at is None


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(FETCH, status) for status in (201, 202, 404, 410, 422, 500)),
        reply(FETCH, 200, b"<html>"),
        timed_out(FETCH),
        unreachable(FETCH),
    ],
    ids=lambda answer: answer.sentence[:20],
)
def test_a_fetch_that_fails_changes_nothing(answer: Any) -> None:
    snapshot = make_snapshot(provisioned(), memory=DUE, offering=OPEN)

    change = absorb(snapshot, sent(FETCH), answer, NOW)

    before = outcomes.idle(snapshot, NOW).document
    assert change.document == before
    assert fact_reasons(change) == ["FetchingInstanceFailed"]
    assert change.next.due_at is None
    assert not notes(change).is_fetch_due


def test_a_fetch_adopts_what_the_broker_tells() -> None:
    body = {
        "dashboard_url": "https://new.example.com",
        "maintenance_info": {"version": "2.1.0", "description": "no matter"},
        "metadata": {"labels": {"zone": "a"}, "attributes": {"size": 3}},
        "parameters": {"word": "sesame"},
        "plan_id": SMALL,
    }

    change = absorb(make_snapshot(provisioned(), memory=DUE, offering=OPEN), sent(FETCH), reply(FETCH, 200, body), NOW)

    status = change.document.status
    assert status.dashboard_url == "https://new.example.com"
    assert status.broker_metadata == BrokerMetadata(labels={"zone": "a"}, attributes={"size": 3})
    assert status.external_properties is not None
    assert status.external_properties.maintenance_version == "2.1.0"
    assert "sesame" not in str(change.document.to_wire())
    assert change.facts == ()


@pytest.mark.parametrize(
    "body",
    [
        {"plan_id": None},
        {"plan_id": 7},
        {"plan_id": ""},
        {"maintenance_info": "2"},
        {"maintenance_info": {"version": 2}},
    ],
    ids=str,
)
def test_a_fetch_passes_nonsense_over(body: dict[str, Any]) -> None:
    snapshot = make_snapshot(provisioned(), memory=DUE, offering=OPEN)

    change = absorb(snapshot, sent(FETCH), reply(FETCH, 200, body), NOW)

    assert change.document == outcomes.idle(snapshot, NOW).document
    assert notes(change).plan_id == SMALL


def test_a_fetch_adopts_another_plan_and_tells_of_it() -> None:
    snapshot = make_snapshot(provisioned(), memory=DUE, offering=OPEN)

    change = absorb(snapshot, sent(FETCH), reply(FETCH, 200, {"plan_id": LARGE}), NOW)

    assert notes(change).plan_id == LARGE
    assert fact_reasons(change) == ["PlanDiffersAtBroker"]
    assert pause(change) == 0
    named = outcomes.idle(
        make_snapshot(change.document, memory=notes(change), current_plan=make_offering("large").plan), NOW
    )
    assert named.document.status.external_properties == InstancePropertiesState(
        cluster_service_plan_external_id=LARGE, cluster_service_plan_external_name="large"
    )
    assert told(named) == ("True", "ProvisionedSuccessfully")


# Metadata.

HAD = BrokerMetadata(labels={"a": "1", "b": "2"}, attributes={"x": 1})


@pytest.mark.parametrize(
    ("told_now", "labels", "attributes"),
    [
        pytest.param(None, {"a": "1", "b": "2"}, {"x": 1}, id="no word"),
        pytest.param("nonsense", {"a": "1", "b": "2"}, {"x": 1}, id="nonsense"),
        pytest.param({}, {"a": "1", "b": "2"}, {"x": 1}, id="an empty word"),
        pytest.param({"labels": {"b": "3"}}, {"b": "3"}, {"x": 1}, id="other labels"),
        pytest.param({"labels": {}}, None, {"x": 1}, id="no labels any more"),
        pytest.param({"labels": 7, "attributes": []}, {"a": "1", "b": "2"}, {"x": 1}, id="other types"),
        pytest.param({"attributes": {"y": [2]}}, {"a": "1", "b": "2"}, {"y": [2]}, id="other attributes"),
        pytest.param(
            {"attributes": {"y": "x" * LONGEST_ATTRIBUTES}}, {"a": "1", "b": "2"}, {"x": 1}, id="too many attributes"
        ),
    ],
)
def test_metadata_replaces_what_was_told_before(told_now: Any, labels: Any, attributes: Any) -> None:
    assert adopted(HAD, told_now) == BrokerMetadata(labels=labels, attributes=attributes)


LABELS: list[Any] = [
    ("zone", "a", True),
    ("zone", "", True),
    ("acme.com/zone", "a-b_c.d", True),
    ("a" * 63, "b" * 63, True),
    ("a" * 64, "b", False),
    ("zone", "b" * 64, False),
    ("-zone", "a", False),
    ("zone", "a b", False),
    ("zone", "-a", False),
    ("zone\n", "a", False),
    ("", "a", False),
    ("/zone", "a", False),
    ("Acme.com/zone", "a", False),
    ("a/b/c", "a", False),
    ("zone", 7, False),
    ("zone", None, False),
]


@pytest.mark.parametrize(("key", "value", "is_legal"), LABELS)
def test_only_labels_that_are_legal_in_kubernetes_are_kept(key: str, value: Any, *, is_legal: bool) -> None:
    kept = adopted(None, {"labels": {key: value, "other": "1"}})

    assert kept is not None
    assert kept.labels == ({key: value, "other": "1"} if is_legal else {"other": "1"})


@pytest.mark.parametrize(("purpose", "status"), [(PROVISION, 201), (PROVISION, 202), (UPDATE, 200), (UPDATE, 202)])
def test_metadata_comes_with_any_answer(purpose: InstancePurpose, status: int) -> None:
    instance = make_instance() if purpose == PROVISION else provisioned(generation=2)

    change = absorb(
        make_snapshot(instance, memory=remembering()),
        sent(purpose),
        reply(purpose, status, {"metadata": {"labels": {"zone": "a"}}}),
        NOW,
    )

    assert change.document.status.broker_metadata == BrokerMetadata(labels={"zone": "a"})


def test_metadata_goes_with_what_it_is_about() -> None:
    snapshot = make_snapshot(provisioned(deleted=True, broker_metadata=HAD), memory=remembering())

    change = absorb(snapshot, sent(InstancePurpose.DEPROVISION), reply(InstancePurpose.DEPROVISION, 200), NOW)

    assert change.document.status.broker_metadata is None


# A broker that is gone.

GONE = Unresolved("ReferencesNonexistentBroker", "The broker is gone", LANE)


def test_a_ready_instance_whose_broker_is_gone_says_so_and_comes_back_with_it() -> None:
    snapshot = make_snapshot(provisioned(), memory=remembering(), access=GONE)
    action = Wait(GONE.reason, GONE.message, GONE.waiting_for)
    assert decide(snapshot) == action

    lost = outcomes.wait(snapshot, action, NOW)
    assert told(lost) == ("False", "ReferencesNonexistentBroker")
    back = make_snapshot(lost.document, memory=notes(lost))

    assert decide(back) == AlreadyApplied()
    assert told(outcomes.keep(back, NOW)) == ("True", "InstanceUpdatedSuccessfully")


def test_an_instance_that_has_failed_is_left_as_it_is_without_a_broker() -> None:
    failed = make_instance(observed_generation=1, conditions=(NOT_READY, FAILED))

    assert decide(make_snapshot(failed, access=GONE)) == Idle()
