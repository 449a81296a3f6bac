"""An update that fails: the instance goes on as it was, says so, and takes up another spec at once."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import Idle, Refuse
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.absorb.instance_outcomes import absorb
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot, Update
from tests.unit.provisioner.builders import (
    LARGE,
    NOW,
    SERVICE,
    SMALL,
    fact_reasons,
    make_offering,
    make_snapshot,
    notes,
    provisioned,
    remembering,
    reply,
    sent,
    timed_out,
    told,
    told_message,
    unreachable,
)

UPDATE = InstancePurpose.UPDATE
FAILED, RECONCILING = ConditionType.FAILED, ConditionType.RECONCILING
AS_BEFORE = ("True", "ProvisionedSuccessfully")
LATER = NOW + timedelta(minutes=5)
TO_LARGE = sent(
    UPDATE,
    generation=2,
    wanted_plan_id=LARGE,
    properties=InstancePropertiesState(cluster_service_plan_external_id=LARGE),
)


def changing(**fields: Any) -> InstanceSnapshot:
    """An instance on the small plan that is to get the large one."""
    plain = {"memory": remembering(), "offering": make_offering("large")}
    return make_snapshot(provisioned(generation=2), **{**plain, **fields})


def again(change: InstanceResult, **fields: Any) -> InstanceSnapshot:
    """What the next round sees."""
    kept = OpenInstanceRequest.model_validate(change.sealed) if change.sealed else None
    plain = {"memory": notes(change), "request": kept, "attempt": change.next.attempt}
    return make_snapshot(change.document, **{"offering": make_offering("large"), **plain, **fields})


def newer(snapshot: InstanceSnapshot, **fields: Any) -> InstanceSnapshot:
    """The same after a user has changed the specification."""
    metadata = snapshot.instance.metadata
    newer_metadata = metadata.model_copy(update={"generation": snapshot.generation + 1})
    instance = snapshot.instance.model_copy(update={"metadata": newer_metadata})
    plain = {name: getattr(snapshot, name) for name in ("memory", "request", "offering", "parameters")}
    return make_snapshot(instance, **{**plain, **fields})


@pytest.mark.parametrize("status", [401, 409, 422, 429])
def test_an_update_that_will_be_tried_again_leaves_the_instance_ready_and_says_when(status: int) -> None:
    change = absorb(changing(), TO_LARGE, reply(UPDATE, status, {"description": "not now"}), NOW)

    assert told(change) == AS_BEFORE
    assert told(change, RECONCILING) == ("True", "UpdateInstanceCallFailed")
    message = told_message(change, RECONCILING)
    assert "not now" in message
    assert "old plan 'small'" in message
    assert change.next.due_at is not None
    assert to_timestamp(change.next.due_at) in message
    assert change.document.status.attempts == 1
    assert change.document.status.next_attempt_time == change.next.due_at
    assert change.document.status.last_condition_state == "Ready"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(400, {"description": "no such colour"}, id="400"),
        pytest.param(422, {"description": "no such colour", "update_repeatable": False}, id="not repeatable"),
    ],
)
def test_an_update_that_has_failed_for_good_leaves_the_instance_ready_and_names_the_way_out(
    status: int, body: dict[str, Any]
) -> None:
    change = absorb(changing(), TO_LARGE, reply(UPDATE, status, body), NOW)

    assert told(change) == AS_BEFORE
    assert told(change, RECONCILING) is None
    assert told(change, FAILED) == ("True", "UpdateInstanceCallFailed")
    message = told_message(change, FAILED)
    assert "no such colour" in message
    assert "old plan 'small'" in message
    assert "kubectl annotate serviceinstance rope -n ns --overwrite chandlery.io/retry-requested-at" in message
    assert fact_reasons(change) == ["UpdateInstanceCallFailed"]
    assert "kubectl" not in change.facts[0].message
    assert change.document.status.attempts is None
    assert decide(again(change)) == Idle()


def test_an_instance_that_its_broker_calls_unusable_is_not_ready_and_says_so() -> None:
    change = absorb(changing(), TO_LARGE, reply(UPDATE, 400, {"instance_usable": False}), NOW)

    assert told(change) == ("False", "UpdateInstanceCallFailed")
    assert "cannot be used" in told_message(change)


def test_an_unusable_instance_is_ready_again_when_an_update_succeeds() -> None:
    failed = absorb(changing(), TO_LARGE, reply(UPDATE, 400, {"instance_usable": False}), NOW)

    change = absorb(newer(again(failed)), sent(UPDATE, generation=3), reply(UPDATE, 200), LATER)

    assert told(change) == ("True", "InstanceUpdatedSuccessfully")
    assert told(change, FAILED) is None


def test_each_failure_of_an_update_is_told_in_the_same_words_so_that_it_is_counted() -> None:
    first = absorb(changing(), TO_LARGE, reply(UPDATE, 429), NOW)
    second = absorb(again(first), TO_LARGE, reply(UPDATE, 429), LATER)
    third = absorb(again(second), TO_LARGE, reply(UPDATE, 409), LATER)

    assert fact_reasons(first) == ["UpdateInstanceCallFailed"]
    assert second.facts == first.facts
    assert len(third.facts) == 1
    assert third.facts != first.facts


def test_a_failed_update_is_tried_again_although_the_instance_is_ready() -> None:
    change = absorb(changing(), TO_LARGE, reply(UPDATE, 409), NOW)

    assert decide(again(change)) == Update(SERVICE, SMALL, LARGE, None)


@pytest.mark.parametrize("how", [lambda: reply(UPDATE, 500), lambda: timed_out(UPDATE), lambda: reply(UPDATE, 204)])
def test_an_update_of_unknown_fate_is_repeated_to_the_letter_and_says_that_it_is_unknown(how: Any) -> None:
    change = absorb(changing(), TO_LARGE, how(), NOW)

    assert "may have changed" in told_message(change, RECONCILING)
    following = again(change)
    assert following.request == TO_LARGE.model_copy(update={"is_answered": True})
    assert following.request is not None
    assert decide(following) == Repeat(following.request)


@pytest.mark.parametrize("how", [lambda: reply(UPDATE, 408), lambda: reply(UPDATE, 422), lambda: unreachable(UPDATE)])
def test_an_update_that_did_nothing_is_decided_on_anew(how: Any) -> None:
    change = absorb(changing(), TO_LARGE, how(), NOW)

    assert change.sealed is None


def test_a_newer_desired_state_does_not_wait_for_an_update_of_unknown_fate() -> None:
    failed = absorb(changing(), TO_LARGE, reply(UPDATE, 500), NOW)

    assert decide(newer(again(failed), offering=make_offering("small"))) == Update(SERVICE, SMALL, SMALL, {})


def test_a_deletion_does_not_wait_for_an_update_of_unknown_fate() -> None:
    failed = again(absorb(changing(), TO_LARGE, reply(UPDATE, 500), NOW))
    metadata = failed.instance.metadata.model_copy(update={"deletion_timestamp": NOW})
    deleted = failed.instance.model_copy(update={"metadata": metadata})

    action = decide(make_snapshot(deleted, memory=failed.memory, request=failed.request))

    assert type(action).__name__ == "Deprovision"


@pytest.mark.parametrize("status", [400, 409, 500])
def test_a_corrected_desired_state_is_taken_up_at_once(status: int) -> None:
    failed = absorb(changing(), TO_LARGE, reply(UPDATE, status), NOW)

    assert isinstance(decide(newer(again(failed))), Update)


def test_a_plan_change_that_is_refused_leaves_the_instance_ready() -> None:
    snapshot = changing(offering=make_offering("large", updatable=False))
    action = decide(snapshot)
    assert isinstance(action, Refuse)

    change = outcomes.refuse(snapshot, action, NOW)

    assert told(change) == AS_BEFORE
    assert told(change, FAILED) == ("True", "UpdateInstanceCallFailed")
    assert "old plan 'small'" in told_message(change, FAILED)


def test_an_update_whose_time_is_up_leaves_the_instance_ready() -> None:
    old = provisioned(
        generation=2,
        observed_generation=2,
        current_operation="Update",
        operation_start_time=NOW - timedelta(days=8),
    )

    change = absorb(make_snapshot(old, memory=remembering()), TO_LARGE, reply(UPDATE, 409), NOW)

    assert told(change) == AS_BEFORE
    assert told(change, FAILED) == ("True", "ErrorReconciliationRetryTimeout")
    assert "retry-requested-at" in told_message(change, FAILED)


def test_an_instance_on_a_namespaced_plan_names_that() -> None:
    has = InstancePropertiesState(service_plan_external_name="little", service_plan_external_id=SMALL)
    snapshot = make_snapshot(provisioned(generation=2, external_properties=has), memory=remembering())

    assert "'little'" in told_message(absorb(snapshot, TO_LARGE, reply(UPDATE, 400), NOW), FAILED)
