"""Another state is wanted than the one that serves: Ready speaks of what serves, Reconciling of what is wanted."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import Wait
from chandlery.reconcile.wake_keys import woken_by
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.absorb.instance_ends import defer
from chandlery_provisioner.absorb.instance_outcomes import absorb, announce
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import AlreadyApplied, InstanceSnapshot
from tests.unit.provisioner.builders import (
    LARGE,
    NO_CLASS,
    NO_SECRET,
    NOW,
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
    working,
)

UPDATE, POLL = InstancePurpose.UPDATE, InstancePurpose.POLL
RECONCILING = ConditionType.RECONCILING
AS_BEFORE = ("True", "ProvisionedSuccessfully")
TO_LARGE = sent(UPDATE, generation=2, wanted_plan_id=LARGE)


def changing(**fields: Any) -> InstanceSnapshot:
    """An instance that is to get another plan."""
    return make_snapshot(
        provisioned(generation=2), **{"memory": remembering(), "offering": make_offering("large"), **fields}
    )


def polled() -> InstanceSnapshot:
    """An instance whose broker works on an update."""
    instance = working("Update", generation=2, observed_generation=2, reconciled_generation=1)
    until = (NOW + timedelta(hours=1)).timestamp()
    return make_snapshot(instance, memory=remembering(poll_until=until, polls=2, wanted_plan_id=LARGE))


def held() -> InstanceResult:
    """The broker is left alone for a while."""
    hold = Deferral(due_at=NOW, next_at=NOW, message="it is left alone", is_circuit=True)
    return defer(changing(), TO_LARGE, deferral=hold, now=NOW)


UNDER_WAY: list[Any] = [
    pytest.param(lambda: announce(changing(), TO_LARGE, NOW), "UpdateInstanceRequestInFlight", id="in flight"),
    pytest.param(lambda: absorb(changing(), TO_LARGE, reply(UPDATE, 202), NOW), "UpdatingInstance", id="accepted"),
    pytest.param(
        lambda: absorb(polled(), sent(POLL), reply(POLL, 200, {"state": "in progress"}), NOW),
        "UpdatingInstance",
        id="polled",
    ),
    pytest.param(
        lambda: absorb(polled(), sent(POLL), reply(POLL, 500), NOW), "ErrorPollingLastOperation", id="a poll failed"
    ),
    pytest.param(
        lambda: absorb(changing(), TO_LARGE, timed_out(UPDATE), NOW), "ErrorCallingUpdateInstance", id="timed out"
    ),
    pytest.param(lambda: absorb(changing(), TO_LARGE, reply(UPDATE, 500), NOW), "UpdateInstanceCallFailed", id="500"),
    pytest.param(held, "BrokerCircuitOpen", id="put off"),
    *(
        pytest.param(
            lambda missing=missing: outcomes.wait(
                changing(), Wait(missing.reason, missing.message, missing.waiting_for), NOW
            ),
            missing.reason,
            id=missing.reason,
        )
        for missing in (NO_CLASS, NO_SECRET)
    ),
]


@pytest.mark.parametrize(("how", "reason"), UNDER_WAY)
def test_an_instance_stays_ready_while_another_state_of_it_is_wanted_and_says_so_beside(how: Any, reason: str) -> None:
    change = how()

    assert told(change) == AS_BEFORE
    assert told(change, RECONCILING) == ("True", reason)
    assert told_message(change, RECONCILING)
    assert change.document.status.last_condition_state == "Ready"


@pytest.mark.parametrize(("how", "reason"), UNDER_WAY)
def test_ready_names_the_generation_that_serves_so_that_waiting_for_it_waits_for_the_update(
    how: Any, reason: str
) -> None:
    change = how()

    ready = find_condition(change.document.status.conditions, ConditionType.READY)
    assert ready is not None
    assert (ready.observed_generation, change.document.metadata.generation) == (1, 2)


def test_ready_names_the_new_generation_once_it_is_there() -> None:
    begun = absorb(changing(), TO_LARGE, reply(UPDATE, 202), NOW)

    change = absorb(make_snapshot(begun.document, memory=notes(begun)), sent(POLL), reply(POLL, 410), NOW)
    done = absorb(
        make_snapshot(change.document, memory=notes(change)), sent(POLL), reply(POLL, 200, {"state": "succeeded"}), NOW
    )

    ready = find_condition(done.document.status.conditions, ConditionType.READY)
    assert ready is not None
    assert (ready.reason, ready.observed_generation) == ("InstanceUpdatedSuccessfully", 2)
    assert told(done, RECONCILING) is None


def test_what_is_wanted_no_more_is_told_no_more() -> None:
    waiting = outcomes.wait(changing(), Wait(NO_CLASS.reason, NO_CLASS.message, NO_CLASS.waiting_for), NOW)
    taken_back = make_snapshot(waiting.document, memory=notes(waiting))

    assert decide(taken_back) == AlreadyApplied()
    change = outcomes.keep(taken_back, NOW)
    assert told(change, RECONCILING) is None


@pytest.mark.parametrize("answer", [202, 500])
def test_a_deletion_ends_what_was_wanted(answer: int) -> None:
    begun = absorb(changing(), TO_LARGE, reply(UPDATE, answer), NOW)
    metadata = begun.document.metadata.model_copy(update={"deletion_timestamp": NOW})
    deleted = make_snapshot(begun.document.model_copy(update={"metadata": metadata}), memory=notes(begun))

    change = announce(deleted, sent(InstancePurpose.DEPROVISION, generation=2), NOW)

    assert told(change) == ("False", "DeprovisionRequestInFlight")
    assert told(change, RECONCILING) is None


def test_an_instance_that_its_broker_calls_unusable_is_not_ready_while_it_is_updated() -> None:
    change = absorb(changing(), TO_LARGE, reply(UPDATE, 500, {"instance_usable": False}), NOW)

    assert told(change) == ("False", "UpdateInstanceCallFailed")
    assert told(change, RECONCILING) == ("True", "UpdateInstanceCallFailed")


@pytest.mark.parametrize(
    ("body", "is_woken"),
    [
        pytest.param({"state": "succeeded"}, True, id="succeeded"),
        pytest.param({"state": "failed"}, True, id="failed"),
        pytest.param({"state": "failed", "instance_usable": False}, False, id="failed, and cannot be used"),
        pytest.param({"state": "in progress"}, False, id="in progress"),
    ],
)
def test_bindings_that_waited_for_the_update_go_on_when_it_is_over(body: dict[str, Any], is_woken: bool) -> None:
    before = polled()
    change = absorb(before, sent(POLL), reply(POLL, 200, body), NOW)

    assert woken_by(before.instance, change.document) == (("instance:ns/rope",) if is_woken else ())
