"""What becomes of an instance of Service Catalog, by the state that its controller has left it in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.instances import ServiceInstance
from chandlery.process.takeover import Neighbourhood, Stance, TakenOver
from chandlery.reconcile.parameters.keyed_checksums import ChecksumKeys
from chandlery_provisioner.facts.instance_notes import InstanceMemory
from chandlery_provisioner.taken_instances import take_instance
from tests.support.dumps import old_catalog as old

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOING = {"deletionTimestamp": old.SINCE}


def taken(document: old.Document, **around: Any) -> TakenOver:
    known = {"lane": "broker:/harbour", "service_id": old.CLASS, "plan_id": old.SMALL, **around}
    neighbourhood = Neighbourhood(poll_seconds=60.0, checksums=ChecksumKeys([b"k" * 32]), now=NOW, **known)
    wire = {**document, "metadata": {**document["metadata"], "managedFields": None}}
    return take_instance(ServiceInstance.model_validate(wire), neighbourhood)


STANCES = {
    "ready": (old.instance("a", old.provisioned()), Stance.AT_REST, ""),
    "ready, before there was an observed generation": (
        old.instance("a", old.provisioned(observedGeneration=0, provisionStatus=None), generation=2),
        Stance.AT_REST,
        "",
    ),
    "ready for an older specification": (
        old.instance("a", old.provisioned(), generation=3),
        Stance.HELD,
        "its specification was changed",
    ),
    "provisioning": (old.instance("a", old.provisioning()), Stance.POLLED, ""),
    "updating": (old.instance("a", old.updating(), generation=3), Stance.POLLED, ""),
    "deprovisioning": (
        old.instance("a", old.provisioning(currentOperation="Deprovision"), metadata=GOING),
        Stance.POLLED,
        "",
    ),
    "failed": (old.instance("a", old.refused()), Stance.AT_REST, ""),
    "failed, and changed since": (
        old.instance("a", old.refused(), generation=3),
        Stance.HELD,
        "its specification was changed after it had failed",
    ),
    "being tried": (old.instance("a", old.retrying()), Stance.HELD, "the provision was being tried"),
    "mitigating": (old.instance("a", old.mitigating()), Stance.HELD, "what a failed provisioning may have left"),
    "waiting for its class": (old.instance("a", old.waiting()), Stance.HELD, "it was not provisioned yet"),
    "new": (old.instance("a", {}), Stance.HELD, "it was not provisioned yet"),
    "to be deleted": (old.instance("a", old.provisioned(), metadata=GOING), Stance.HELD, "it is being deleted"),
    "to be deleted, and nothing there": (old.instance("a", old.refused(), metadata=GOING), Stance.LEAVING, ""),
    "to be deleted, and given up on": (
        old.instance("a", old.provisioned(deprovisionStatus="Failed"), metadata=GOING),
        Stance.HELD,
        "it is being deleted",
    ),
}


@pytest.mark.parametrize(("document", "stance", "why"), STANCES.values(), ids=STANCES.keys())
def test_an_instance_is_left_alone_unless_it_only_has_to_be_asked_about(
    document: old.Document, stance: Stance, why: str
) -> None:
    found = taken(document)
    assert (found.stance, found.problem) == (stance, "")
    assert found.why.startswith(why)
    assert bool(found.why) == bool(why)


@pytest.mark.parametrize("document", [each[0] for each in STANCES.values()], ids=STANCES.keys())
def test_nothing_is_held_if_the_operator_wants_it_to_go_on(document: old.Document) -> None:
    assert taken(document, resumes=True).stance != Stance.HELD


def memory_of(found: TakenOver) -> InstanceMemory:
    return InstanceMemory.model_validate(found.memory)


def test_the_notes_have_what_a_deprovisioning_needs() -> None:
    memory = memory_of(taken(old.instance("a", old.provisioned()), plan_id="another"))
    assert (memory.lane, memory.id_lane) == ("broker:/harbour", "broker:/harbour")
    assert (memory.service_id, memory.plan_id, memory.wanted_plan_id) == (old.CLASS, old.SMALL, "")


def test_the_notes_on_an_update_have_both_plans() -> None:
    memory = memory_of(taken(old.instance("a", old.updating(), generation=3)))
    assert (memory.plan_id, memory.wanted_plan_id) == (old.SMALL, old.LARGE)
    assert memory.poll_until == NOW.timestamp() + 60.0


def test_the_notes_on_a_provisioning_have_the_plan_that_was_asked_for() -> None:
    memory = memory_of(taken(old.instance("a", old.provisioning()), plan_id=""))
    assert (memory.plan_id, memory.wanted_plan_id) == (old.SMALL, "")


def test_checksums_of_parameters_tell_nothing_any_more() -> None:
    found = taken(old.instance("a", old.provisioned({"size": 3}), parameters={"size": 3}))
    assert isinstance(found.document, ServiceInstance)
    has = found.document.status.external_properties
    bare = old.state_of(parameters={"size": 3})["parameterChecksum"]
    assert has is not None
    assert has.parameter_checksum
    assert bare not in (has.parameter_checksum, "")
    assert memory_of(found).last_applied.checksum == has.parameter_checksum


def test_an_update_that_was_asked_for_and_not_made_is_still_asked_for() -> None:
    settled = memory_of(taken(old.instance("a", old.provisioned(), updateRequests=4)))
    pending = memory_of(taken(old.instance("a", old.provisioned(), generation=3, updateRequests=4)))
    assert (settled.last_applied.update_requests, pending.last_applied.update_requests) == (4, 3)


@pytest.mark.parametrize("missing", [{"lane": ""}, {"service_id": ""}])
def test_an_instance_that_nobody_could_deprovision_does_not_fit(missing: dict[str, str]) -> None:
    assert "its class is not known" in taken(old.instance("a", old.provisioned()), **missing).problem
    nothing_there = old.instance("a", old.waiting())
    assert taken(nothing_there, **missing).problem == ""


def test_what_serves_stays_ready_while_it_is_held() -> None:
    found = taken(old.instance("a", old.provisioned(), generation=3)).document
    assert isinstance(found, ServiceInstance)
    by_type = {each.type: each for each in found.status.conditions}
    assert by_type[ConditionType.READY].status == "True"
    assert "kubectl annotate serviceinstance a -n ns" in by_type[ConditionType.RECONCILING].message
    assert found.status.last_condition_state == "Ready"


def test_what_is_held_keeps_its_reason_and_says_what_it_had_said() -> None:
    found = taken(old.instance("a", old.retrying())).document
    assert isinstance(found, ServiceInstance)
    ready = find_condition(found.status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.reason == "ProvisionCallFailed"
    assert ready.message.startswith("Error provisioning; Status: 403. It was imported in this state")
