"""What the binder has to find beside a binding that Service Catalog has made. Pure.

Comes in: the binding as the old controller has left it, its instance, and what is in its Secret. Goes out: the same
binding with the notes from which `binding_machine.py` goes on, a copy of its credentials if they can be told from the
Secret, and whether it may go on by itself: whatever would change something at the service broker is held.

What its fields mean is what `pkg/controller/controller_binding.go` of Service Catalog v0.3 does with them.
"""

from typing import Any, Final

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import (
    ConditionStatus,
    ConditionType,
    find_condition,
    is_true,
    last_condition_state,
    with_condition,
)
from chandlery.process.takeover import HELD_SENTENCE, Neighbourhood, Stance, TakenOver
from chandlery.reconcile.kubectl_commands import BINDING, retry
from chandlery.reconcile.status_draft import joined
from chandlery_binder.facts.binding_notes import BindingMemory
from chandlery_binder.facts.rotation_notes import Placement
from chandlery_binder.facts.sealed_binding_notes import SealedNotes

_ABSENT: Final = ("NotRequired", "Succeeded")


def take_binding(binding: ServiceBinding, around: Neighbourhood) -> TakenOver:
    """The binding with its notes, or why nobody could ever unbind it."""
    binding = _completed(binding, around)
    stance, why = _stance(binding, resumes=around.resumes)
    placement = _placement(around)
    is_known = bool(placement.instance_id and placement.service_id and placement.plan_id and around.lane)
    if binding.status.unbind_status not in _ABSENT and not is_known:
        missing = "class" if around.instance else "ServiceInstance"
        problem = (
            f"its {missing} is not known, without which it could never be unbound: put it into the dump as well, or "
            "see why it does not fit"
        )
        return TakenOver(document=binding, problem=problem)
    memory = BindingMemory(
        lane=around.lane,
        id_lane=around.lane,
        placement=placement if is_known else Placement(),
        poll_until=around.now.timestamp() + around.poll_seconds if stance == Stance.POLLED else None,
        polls=1 if stance == Stance.POLLED else 0,
    )
    is_ready = is_true(binding.status.conditions, ConditionType.READY)
    sealed = SealedNotes(delivered=around.credentials if is_ready else None).stored()
    if stance == Stance.HELD:
        binding = _held(binding, why, around)
    return TakenOver(document=binding, memory=memory.to_wire(), sealed=sealed, stance=stance, why=why)


def _completed(binding: ServiceBinding, around: Neighbourhood) -> ServiceBinding:
    """What older forms leave out, and what is written in another way here."""
    status, generation = binding.status, binding.metadata.generation or 1
    is_ready = is_true(status.conditions, ConditionType.READY)
    checksums, unknown = around.checksums.of(binding), ParametersFault()
    changes: dict[str, Any] = {
        "external_properties": checksums.renewed_in(status.external_properties, unknown),
        "in_progress_properties": checksums.renewed_in(status.in_progress_properties, unknown),
        "last_condition_state": last_condition_state(status.conditions),
        "observed_generation": generation,
    }
    if is_ready:
        changes["reconciled_generation"] = generation
        if status.unbind_status != "Failed":
            # Before v0.1.20 there was no unbindStatus.
            changes["unbind_status"] = "Required"
    metadata = binding.metadata.model_copy(update={"generation": generation})
    return binding.model_copy(update={"metadata": metadata, "status": status.model_copy(update=changes)})


def _placement(around: Neighbourhood) -> Placement:
    instance_id = around.instance.spec.external_id if around.instance else ""
    return Placement(instance_id=instance_id, service_id=around.service_id, plan_id=around.plan_id)


def _stance(binding: ServiceBinding, *, resumes: bool) -> tuple[Stance, str]:
    status = binding.status
    # A deletion would be sent at once, and not when the operation ends.
    is_cut_short = binding.metadata.deletion_timestamp is not None and status.current_operation == "Bind"
    is_under_way = status.orphan_mitigation_in_progress or (status.current_operation and not is_cut_short)
    if status.async_op_in_progress and is_under_way:
        return Stance.POLLED, ""
    if binding.metadata.deletion_timestamp is not None and status.unbind_status in _ABSENT and not is_cut_short:
        return Stance.LEAVING, ""
    why = _left_to_do(binding)
    if not why:
        return Stance.AT_REST, ""
    return (Stance.RESUMED if resumes else Stance.HELD), why


def _left_to_do(binding: ServiceBinding) -> str:
    status = binding.status
    if binding.metadata.deletion_timestamp is not None:
        return "it is being deleted, and its service broker has to unbind it"
    if status.orphan_mitigation_in_progress:
        return "what a failed bind may have left at its service broker is to be deleted"
    if status.current_operation is not None:
        return f"the {status.current_operation.lower()} was being tried, and nobody knows what came of it"
    is_settled = is_true(status.conditions, ConditionType.READY) or is_true(status.conditions, ConditionType.FAILED)
    return "" if is_settled else "its instance was not bound yet"


def _held(binding: ServiceBinding, why: str, around: Neighbourhood) -> ServiceBinding:
    """One that says so."""
    status, meta = binding.status, binding.metadata
    before = find_condition(status.conditions, ConditionType.READY)
    told = joined(f"{HELD_SENTENCE}, although {why}", f"To have Chandlery go on with it: {retry(BINDING, meta)}")
    conditions = with_condition(
        status.conditions,
        ConditionType.READY,
        status=before.status if before else ConditionStatus.FALSE,
        reason=before.reason if before else "Binding",
        message=joined(before.message, told) if before and before.message else told,
        now=around.now,
    )
    changes = {"conditions": conditions, "last_condition_state": last_condition_state(conditions)}
    return binding.model_copy(update={"status": status.model_copy(update=changes)})
