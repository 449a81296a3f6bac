"""An instance whose external id belongs to another at its broker: no state in which the broker is asked anything."""

from typing import Any

import pytest

from chandlery.model.objects.annotations import requested_actions_of
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.reconcile.reconcile_result import Disown, Idle, Wait
from chandlery_provisioner.absorb import instance_outcomes as outcomes
from chandlery_provisioner.decide.instance_machine import decide
from chandlery_provisioner.facts.instance_notes import InstancePurpose
from chandlery_provisioner.facts.instance_snapshot import Cascade, InstanceSnapshot, LetGo
from tests.unit.provisioner.builders import (
    NOW,
    ORPHAN,
    READY,
    make_instance,
    make_snapshot,
    mitigating,
    provisioned,
    remembering,
    sent,
    working,
)

STATES: dict[str, dict[str, Any]] = {
    "new": {"instance": make_instance()},
    "provisioned": {"instance": provisioned()},
    "being created": {"instance": working("Provision")},
    "being updated": {"instance": working("Update")},
    "being mitigated": {"instance": mitigating()},
    "a request open": {"instance": make_instance(), "request": sent(InstancePurpose.PROVISION)},
}


def foreign(state: dict[str, Any], *, deleted: bool = False, **more: Any) -> InstanceSnapshot:
    orders = more.pop("orders", None)
    metadata = make_instance(deleted=deleted, orders=orders).metadata
    instance = state["instance"].model_copy(update={"metadata": metadata})
    given = {"memory": remembering(), **state, "is_id_foreign": True, **more}
    return make_snapshot(**{**given, "instance": instance})


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_an_instance_without_its_id_is_disowned_once_in_every_state(state: dict[str, Any]) -> None:
    snapshot = foreign(state)
    action = decide(snapshot)
    assert action == Disown()
    change = outcomes.uncalled(snapshot, Disown(), NOW)

    status = change.document.status
    assert {each.reason for each in status.conditions} == {"ExternalIDInUse"}
    assert (status.provision_status, status.deprovision_status) == ("NotProvisioned", "NotRequired")
    assert (status.async_op_in_progress, status.orphan_mitigation_in_progress) == (False, False)
    assert not is_true(status.conditions, ConditionType.READY)
    assert change.sealed is None
    assert [fact.reason for fact in change.facts] == ["ExternalIDInUse"]
    assert "kubectl delete serviceinstance rope -n ns" in status.conditions[0].message

    settled = foreign({**state, "instance": change.document, "request": None})
    assert decide(settled) == Idle()


@pytest.mark.parametrize("orders", [{}, {"abandon": "true"}, {"force-delete": "true"}], ids=str)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_an_instance_without_its_id_goes_without_a_word_to_its_broker(
    state: dict[str, Any], orders: dict[str, str]
) -> None:
    action = decide(foreign(state, deleted=True, orders=orders))
    assert isinstance(action, LetGo)
    assert action.reason == "ExternalIDInUse"


def test_an_instance_without_its_id_waits_for_its_bindings_or_takes_them_along() -> None:
    state = STATES["provisioned"]
    waiting = decide(foreign(state, deleted=True, bindings=1))
    assert isinstance(waiting, Wait)
    assert waiting.reason == "DeprovisionBlockedByExistingCredentials"
    forced = {"force-delete": "true"}
    assert decide(foreign(state, deleted=True, bindings=1, loose_bindings=1, orders=forced)) == Cascade()


def test_an_order_to_try_again_looks_again_for_an_instance_without_its_id() -> None:
    snapshot = foreign(STATES["new"])
    told = outcomes.uncalled(snapshot, Disown(), NOW).document
    asked = make_instance(orders={"retry-requested-at": "1"}).metadata
    again = make_snapshot(told.model_copy(update={"metadata": asked}), memory=remembering(), is_id_foreign=True)
    assert requested_actions_of(asked).retry
    assert decide(again) == Disown()


def test_nothing_of_the_state_before_is_left_when_an_instance_is_disowned() -> None:
    snapshot = foreign({"instance": provisioned(conditions=(READY, ORPHAN), dashboard_url="https://d.example.com")})
    status = outcomes.uncalled(snapshot, Disown(), NOW).document.status
    assert (status.external_properties, status.dashboard_url, status.deprovision_status) == (None, None, "NotRequired")
    assert {each.type for each in status.conditions} == {"Ready", "Failed"}
