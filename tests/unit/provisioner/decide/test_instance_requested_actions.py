"""What people order by annotation: try again, abandon, delete by force, start or waive an orphan mitigation."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import Finish, Idle, Wait
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import (
    Action,
    Cascade,
    Deprovision,
    InstanceSnapshot,
    LetGo,
    PollInstance,
    Provision,
    Update,
)
from tests.unit.provisioner.builders import (
    FAILED,
    LANE,
    LARGE,
    NO_CLASS,
    NO_SECRET,
    NOT_READY,
    NOW,
    SERVICE,
    SMALL,
    condition,
    fact_reasons,
    make_instance,
    make_offering,
    make_snapshot,
    mitigating,
    notes,
    pause,
    provisioned,
    remembering,
    reply,
    sent,
    timed_out,
    told,
    told_message,
    unreachable,
    working,
)

PROVISION, UPDATE, DEPROVISION, MITIGATE, POLL = (
    InstancePurpose.PROVISION,
    InstancePurpose.UPDATE,
    InstancePurpose.DEPROVISION,
    InstancePurpose.MITIGATE,
    InstancePurpose.POLL,
)
ORPHAN = ConditionType.ORPHAN_MITIGATION
RETRY = {"retry-requested-at": "1"}
ABANDON = {"abandon": "true"}
FORCE = {"force-delete": "true"}
MANUAL = BrokerPolicy(mitigates=False)
DELETE = Deprovision(SERVICE, SMALL, is_mitigation=False)
START = Deprovision(SERVICE, SMALL, is_mitigation=True)
CREATION = sent(PROVISION)


def held(**fields: Any) -> Any:
    """An instance whose creation may have left something that waits for a person."""
    required = condition(ORPHAN, NOT_READY.status.TRUE, "OrphanMitigationRequired", "it failed")
    plain = {"orphan_mitigation_in_progress": False, "conditions": (NOT_READY, required)}
    return mitigating(**{**plain, **fields})


# Trying again.


@pytest.mark.parametrize("reason", ["ClusterServiceBrokerReturnedFailure", "ErrorReconciliationRetryTimeout"])
def test_a_creation_that_has_failed_for_good_is_tried_again_when_somebody_asks_for_it(reason: str) -> None:
    failed = condition(ConditionType.FAILED, NOT_READY.status.TRUE, reason)
    instance = make_instance(observed_generation=1, conditions=(NOT_READY, failed), orders=RETRY)

    assert decide(make_snapshot(instance)) == Provision(SERVICE, SMALL, None)
    assert decide(make_snapshot(instance, memory=remembering(retry_seen="1"))) == Idle()
    assert decide(make_snapshot(instance, memory=remembering(retry_seen="0"))) == Provision(SERVICE, SMALL, None)


def test_an_update_that_has_failed_for_good_is_tried_again_when_somebody_asks_for_it() -> None:
    instance = provisioned(
        generation=2, observed_generation=2, conditions=(*provisioned().status.conditions, FAILED), orders=RETRY
    )

    offering = make_offering("large")

    assert decide(make_snapshot(instance, memory=remembering(), offering=offering)) == (
        Update(SERVICE, SMALL, LARGE, None)
    )
    assert decide(make_snapshot(instance, memory=remembering(retry_seen="1"), offering=offering)) == Idle()


def test_a_request_to_try_again_is_acted_on_once() -> None:
    instance = make_instance(observed_generation=1, conditions=(NOT_READY, FAILED), orders=RETRY)

    change = absorb(make_snapshot(instance), sent(PROVISION), reply(PROVISION, 400), NOW)

    assert notes(change).retry_seen == "1"
    assert told(change, ConditionType.FAILED) is not None
    assert decide(make_snapshot(change.document, memory=notes(change))) == Idle()


def test_a_request_to_try_again_resets_the_back_off_and_the_time_of_the_operation() -> None:
    old = NOW - timedelta(days=6)
    instance = make_instance(
        observed_generation=1, current_operation="Provision", operation_start_time=old, orders=RETRY, attempts=30
    )

    change = absorb(make_snapshot(instance, attempt=30), sent(PROVISION), reply(PROVISION, 429), NOW)

    assert change.next.attempt == 1
    assert change.document.status.attempts == 1
    assert change.document.status.operation_start_time == NOW


def test_a_request_to_try_again_leaves_a_ready_instance_alone() -> None:
    snapshot = make_snapshot(provisioned(orders=RETRY), memory=remembering())

    assert decide(snapshot) == Idle()
    assert notes(outcomes.idle(snapshot, NOW)).retry_seen == "1"


def test_a_request_to_try_again_sends_a_deferred_deletion_again() -> None:
    instance = working("Provision", deleted=True, orders=RETRY)

    assert decide(make_snapshot(instance, memory=remembering(delete_deferred=True))) == DELETE


def test_a_creation_is_tried_again_after_the_mitigation_when_somebody_asks_for_it() -> None:
    instance = mitigating(conditions=(NOT_READY, FAILED, *mitigating().status.conditions[1:]), orders=RETRY)

    change = absorb(make_snapshot(instance, memory=remembering()), sent(MITIGATE), reply(MITIGATE, 410), NOW)

    assert told(change, ConditionType.FAILED) is None
    assert pause(change) is not None


@pytest.mark.parametrize("missing", [NO_CLASS, NO_SECRET])
def test_a_request_to_try_again_is_noted_by_an_instance_that_waits(missing: Any) -> None:
    instance = make_instance(observed_generation=1, conditions=(NOT_READY, FAILED), orders=RETRY)

    change = outcomes.wait(make_snapshot(instance), Wait(missing.reason, missing.message, missing.waiting_for), NOW)

    assert notes(change).retry_seen == "1"
    assert told(change, ConditionType.FAILED) is None


# Abandoning and deleting by force.

DELETED_STATES: list[Any] = [
    pytest.param({"instance": provisioned(deleted=True)}, id="working"),
    pytest.param({"instance": provisioned(deleted=True), "bindings": 2}, id="with bindings"),
    pytest.param({"instance": provisioned(deleted=True), "access": NO_SECRET}, id="broker out of reach"),
    pytest.param({"instance": provisioned(deleted=True), "offering": NO_CLASS}, id="class gone"),
    pytest.param({"instance": working("Provision", deleted=True)}, id="being created"),
    pytest.param({"instance": working("Update", deleted=True), "bindings": 1}, id="being updated"),
    pytest.param({"instance": working("Deprovision", deleted=True)}, id="being deleted"),
    pytest.param({"instance": mitigating(deleted=True)}, id="being mitigated"),
    pytest.param({"instance": held(deleted=True), "policy": MANUAL}, id="waiting to be mitigated"),
    pytest.param({"instance": make_instance(deleted=True), "request": CREATION}, id="a request open"),
    pytest.param(
        {"instance": working("Provision", deleted=True), "memory": remembering(delete_deferred=True)}, id="deferred"
    ),
]


def ordered(state: dict[str, Any], orders: dict[str, str]) -> InstanceSnapshot:
    """The state with orders."""
    metadata = make_instance(deleted=True, orders=orders).metadata
    instance = state["instance"].model_copy(update={"metadata": metadata})
    return make_snapshot(instance, **{"memory": remembering(), **{k: v for k, v in state.items() if k != "instance"}})


@pytest.mark.parametrize("state", DELETED_STATES)
def test_an_abandoned_instance_goes_without_its_broker_in_every_state(state: dict[str, Any]) -> None:
    snapshot = ordered(state, ABANDON)

    action = decide(snapshot)
    assert isinstance(action, LetGo)
    change = outcomes.let(snapshot, action, NOW)

    assert change.is_finished
    assert change.document.metadata.finalizers is None
    assert fact_reasons(change) == ["Abandoned"]
    assert change.facts[0].is_warning
    assert change.sealed is None


@pytest.mark.parametrize("order", [ABANDON, FORCE])
def test_an_order_to_go_means_nothing_to_an_instance_that_is_not_deleted(order: dict[str, str]) -> None:
    assert decide(make_snapshot(provisioned(orders=order), memory=remembering())) == Idle()


@pytest.mark.parametrize("order", [ABANDON, FORCE])
def test_nothing_is_told_of_what_was_never_there(order: dict[str, str]) -> None:
    snapshot = make_snapshot(make_instance(deleted=True, orders=order))

    assert decide(snapshot) == Finish()


FORCED: dict[str, Action] = {
    "working": DELETE,
    "with bindings": DELETE,
    "class gone": DELETE,
    "being created": DELETE,
    "being updated": DELETE,
    "being deleted": PollInstance(SERVICE, SMALL, "key-1"),
    "being mitigated": DELETE,
    "waiting to be mitigated": DELETE,
    "a request open": DELETE,
    "deferred": DELETE,
}


@pytest.mark.parametrize("state", [each for each in DELETED_STATES if each.id in FORCED])
def test_a_forced_deletion_asks_the_broker_in_every_state(
    state: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    assert decide(ordered(state, FORCE)) == FORCED[request.node.callspec.id]


def test_a_forced_deletion_needs_no_broker() -> None:
    snapshot = ordered({"instance": provisioned(deleted=True), "access": NO_SECRET}, FORCE)

    action = decide(snapshot)

    assert isinstance(action, LetGo)
    assert action.reason == "ForceDeleted"
    assert NO_SECRET.message in action.message


def test_a_forced_deletion_takes_the_bindings_along_first() -> None:
    snapshot = ordered(
        {"instance": make_instance(deleted=True), "bindings": 2, "loose_bindings": 1, "request": CREATION}, FORCE
    )
    assert decide(snapshot) == Cascade()

    change = outcomes.cascaded(snapshot, NOW)

    assert pause(change) == 0
    assert change.sealed == CREATION.to_wire()


def test_a_forced_deletion_of_a_dead_worker_is_repeated() -> None:
    note = sent(DEPROVISION)

    assert decide(ordered({"instance": provisioned(deleted=True), "request": note}, FORCE)) == Repeat(note)


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(DEPROVISION, status, {"description": "not today"}) for status in (204, 302, 400, 404, 422, 500)),
        reply(DEPROVISION, 422, {"error": "ConcurrencyError", "description": "not today"}),
        reply(DEPROVISION, 202, b"<html>"),
        timed_out(DEPROVISION),
        unreachable(DEPROVISION),
    ],
    ids=lambda answer: answer.sentence[:30],
)
@pytest.mark.parametrize("instance", [provisioned(deleted=True), working("Update", deleted=True)])
def test_a_forced_deletion_ends_whatever_the_broker_says(instance: Any, answer: Any) -> None:
    change = absorb(ordered({"instance": instance}, FORCE), sent(DEPROVISION), answer, NOW)

    assert change.is_finished
    assert fact_reasons(change) == ["ForceDeleted"]
    assert str(answer.description) in change.facts[0].message


def test_a_forced_deletion_that_the_broker_confirms_is_an_ordinary_one() -> None:
    change = absorb(
        ordered({"instance": provisioned(deleted=True)}, FORCE), sent(DEPROVISION), reply(DEPROVISION, 200), NOW
    )

    assert change.is_finished
    assert fact_reasons(change) == ["DeprovisionedSuccessfully"]


def test_a_forced_deletion_that_the_broker_accepts_is_polled_to_its_end() -> None:
    accepted = absorb(
        ordered({"instance": provisioned(deleted=True)}, FORCE), sent(DEPROVISION), reply(DEPROVISION, 202), NOW
    )
    assert not accepted.is_finished
    snapshot = make_snapshot(accepted.document, memory=notes(accepted))
    assert isinstance(decide(snapshot), PollInstance)

    assert not absorb(snapshot, sent(POLL), reply(POLL, 200, {"state": "in progress"}), NOW).is_finished
    failed = absorb(snapshot, sent(POLL), reply(POLL, 200, {"state": "failed", "description": "stuck"}), NOW)

    assert failed.is_finished
    assert fact_reasons(failed) == ["ForceDeleted"]
    assert "stuck" in failed.facts[0].message


def test_a_forced_deletion_that_takes_too_long_ends() -> None:
    instance = working("Deprovision", deleted=True, orders=FORCE)
    snapshot = make_snapshot(instance, memory=remembering(poll_until=NOW.timestamp(), polls=5))

    assert absorb(snapshot, sent(POLL), reply(POLL, 200, {"state": "in progress"}), NOW).is_finished


def test_a_deletion_that_fails_says_how_the_object_can_go_all_the_same() -> None:
    snapshot = make_snapshot(provisioned(deleted=True), memory=remembering())

    message = told_message(absorb(snapshot, sent(DEPROVISION), reply(DEPROVISION, 500), NOW))

    assert "kubectl annotate serviceinstance rope -n ns --overwrite chandlery.io/force-delete=true" in message
    assert "chandlery.io/abandon=true" in message


# Orphan mitigation.


@pytest.mark.parametrize(
    ("policy", "orders"),
    [
        pytest.param(MANUAL, {}, id="the broker's policy"),
        pytest.param(BrokerPolicy(), {"orphan-mitigation": "Manual"}, id="the annotation"),
    ],
)
def test_what_a_failed_creation_may_have_left_waits_for_a_person_who_wants_to_decide(
    policy: BrokerPolicy, orders: dict[str, str]
) -> None:
    snapshot = make_snapshot(make_instance(orders=orders), policy=policy)

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, 500), NOW)

    assert told(change) == ("False", "ProvisionCallFailed")
    assert told(change, ORPHAN) == ("True", "OrphanMitigationRequired")
    assert "kubectl annotate serviceinstance rope -n ns --overwrite chandlery.io/orphan-mitigation=Automatic" in (
        told_message(change, ORPHAN)
    )
    status = change.document.status
    assert not status.orphan_mitigation_in_progress
    assert status.deprovision_status == "Required"
    assert status.last_condition_state == "OrphanMitigation"
    assert (status.attempts, status.next_attempt_time) == (None, None)
    assert (change.next.due_at, change.next.waiting_for) == (None, LANE)
    assert fact_reasons(change) == ["ProvisionCallFailed", "OrphanMitigationRequired"]


@pytest.mark.parametrize("generation", [1, 2])
def test_nothing_is_sent_while_a_mitigation_waits(generation: int) -> None:
    snapshot = make_snapshot(held(generation=generation), memory=remembering(), policy=MANUAL)
    assert decide(snapshot) == AwaitMitigationDecision()

    change = outcomes.hold(snapshot, NOW)

    assert change.document.status.conditions == snapshot.instance.status.conditions
    assert change.next.due_at is None
    assert change.facts == ()


PENDING: list[Any] = [
    pytest.param(held(orders={"orphan-mitigation": "Automatic"}), MANUAL, START, id="started"),
    pytest.param(held(), BrokerPolicy(), START, id="the broker's policy has changed"),
    pytest.param(held(orders={"orphan-mitigation": "Waive"}), MANUAL, WaiveMitigation(), id="waived"),
    pytest.param(mitigating(orders={"orphan-mitigation": "Waive"}), BrokerPolicy(), WaiveMitigation(), id="given up"),
    pytest.param(
        mitigating(orders={"orphan-mitigation": "Manual"}), BrokerPolicy(), AwaitMitigationDecision(), id="stopped"
    ),
    pytest.param(held(deleted=True), MANUAL, DELETE, id="deleted"),
    pytest.param(held(deleted=True, orders={"orphan-mitigation": "Waive"}), MANUAL, DELETE, id="waived and deleted"),
    pytest.param(
        working("Provision", orphan_mitigation_in_progress=True, orders={"orphan-mitigation": "Waive"}),
        BrokerPolicy(),
        WaiveMitigation(),
        id="waived while the broker deletes",
    ),
    pytest.param(
        working("Provision", orphan_mitigation_in_progress=True, orders={"orphan-mitigation": "Manual"}),
        BrokerPolicy(),
        PollInstance(SERVICE, SMALL, "key-1"),
        id="stopped while the broker deletes",
    ),
]


@pytest.mark.parametrize(("instance", "policy", "expected"), PENDING)
def test_a_pending_mitigation_follows_the_orders(instance: Any, policy: BrokerPolicy, expected: Action) -> None:
    assert decide(make_snapshot(instance, memory=remembering(), policy=policy)) == expected


@pytest.mark.parametrize("instance", [mitigating(deleted=True), held(deleted=True)])
def test_a_mitigation_is_not_held_up_by_bindings(instance: Any) -> None:
    assert decide(make_snapshot(instance, memory=remembering(), bindings=3)) == DELETE


@pytest.mark.parametrize("order", ["Manual", "Waive"])
def test_a_mitigation_of_a_dead_worker_is_not_repeated_against_an_order(order: str) -> None:
    instance = mitigating(orders={"orphan-mitigation": order})

    action = decide(make_snapshot(instance, memory=remembering(), request=sent(MITIGATE)))

    assert type(action).__name__ == {"Manual": "AwaitMitigationDecision", "Waive": "WaiveMitigation"}[order]


def test_a_mitigation_that_is_stopped_says_how_to_go_on() -> None:
    snapshot = make_snapshot(mitigating(orders={"orphan-mitigation": "Manual"}), memory=remembering())

    change = outcomes.hold(snapshot, NOW)

    assert told(change, ORPHAN) == ("True", "OrphanMitigationRequired")
    assert not change.document.status.orphan_mitigation_in_progress


def test_a_mitigation_that_a_person_starts_has_all_its_time() -> None:
    instance = held(operation_start_time=NOW - timedelta(days=30), orders={"orphan-mitigation": "Automatic"})
    snapshot = make_snapshot(instance, memory=remembering(), policy=MANUAL)

    change = absorb(snapshot, sent(MITIGATE), reply(MITIGATE, 410), NOW)

    assert told(change) == ("False", "ProvisionCallFailed")
    assert told(change, ORPHAN) is None
    assert told(change, ConditionType.FAILED) is None
    assert decide(make_snapshot(change.document, memory=notes(change))) == Provision(SERVICE, SMALL, None)


def test_a_mitigation_that_a_person_starts_is_shown_while_it_fails() -> None:
    snapshot = make_snapshot(held(), memory=remembering())

    change = absorb(snapshot, sent(MITIGATE), reply(MITIGATE, 500), NOW)

    assert change.document.status.orphan_mitigation_in_progress
    assert told(change, ORPHAN) == ("True", "StartingInstanceOrphanMitigation")
    assert "chandlery.io/orphan-mitigation=Waive" in told_message(change)


def test_a_waived_mitigation_lets_the_instance_go_on_and_its_deletion_ask() -> None:
    snapshot = make_snapshot(held(orders={"orphan-mitigation": "Waive"}), memory=remembering(), policy=MANUAL)

    change = outcomes.waive(snapshot, NOW)

    assert told(change, ORPHAN) is None
    assert fact_reasons(change) == ["OrphanMitigationWaived"]
    assert change.document.status.deprovision_status == "Required"
    assert decide(make_snapshot(change.document, memory=notes(change))) == Provision(SERVICE, SMALL, None)


def test_a_waived_mitigation_of_a_creation_that_has_failed_for_good_names_the_way_out() -> None:
    instance = held(conditions=(NOT_READY, FAILED, held().status.conditions[1]), orders={"orphan-mitigation": "Waive"})

    change = outcomes.waive(make_snapshot(instance, memory=remembering()), NOW)

    assert change.next.due_at is None
    assert told(change, ConditionType.FAILED) is not None
    assert "retry-requested-at" in told_message(change)
    assert change.document.status.current_operation is None


def test_a_creation_whose_mitigation_is_waived_beforehand_is_tried_again() -> None:
    snapshot = make_snapshot(make_instance(orders={"orphan-mitigation": "Waive"}))

    change = absorb(snapshot, sent(PROVISION), reply(PROVISION, 500), NOW)

    assert told(change) == ("False", "ProvisionCallFailed")
    assert told(change, ORPHAN) is None
    assert change.document.status.deprovision_status == "Required"
    assert change.document.status.attempts == 1
