"""What the provisioner has to find beside an instance that Service Catalog has provisioned. Pure.

Comes in: the instance as the old controller has left it, and what is known of its class and plan. Goes out: the same
instance with the notes from which `instance_machine.py` goes on, and whether it may go on by itself: whatever would
change something at the service broker is held, for moving in must not do that.

What its fields mean is what `pkg/controller/controller_instance.go` of Service Catalog v0.3 does with them.
"""

from typing import Any, Final

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    find_condition,
    is_true,
    last_condition_state,
    with_condition,
)
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance, ServiceInstanceStatus
from chandlery.model.text.value_labels import referenced_values, with_value_labels
from chandlery.process.takeover import HELD_SENTENCE, Neighbourhood, Stance, TakenOver
from chandlery.reconcile.kubectl_commands import INSTANCE, retry
from chandlery.reconcile.offering import class_column, wanted_plan
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.facts.instance_notes import InstanceMemory, RequestDigest

_PROVISIONED: Final = "Provisioned"
_ABSENT: Final = ("NotRequired", "Succeeded")
_FOLLOWS: Final = "its specification was changed meanwhile, which its service broker is told when its operation ends"


def take_instance(instance: ServiceInstance, around: Neighbourhood) -> TakenOver:
    """The instance with its notes, or why nobody could ever deprovision it."""
    instance = _completed(instance, around)
    status = instance.status
    stance, why = _stance(instance, resumes=around.resumes)
    is_known = bool(around.service_id and around.lane)
    memory = _memory(instance, around, is_polled=stance == Stance.POLLED)
    if status.deprovision_status not in _ABSENT and not (is_known and memory.plan_id):
        return TakenOver(document=instance, problem=_unknown(around))
    if stance == Stance.HELD:
        instance = _held(instance, why, around)
    return TakenOver(document=instance, memory=memory.to_wire(), stance=stance, why=why)


def _unknown(around: Neighbourhood) -> str:
    missing = "class" if not (around.service_id and around.lane) else "plan"
    return (
        f"its {missing} is not known, without which it could never be deprovisioned: put classes and plans into the "
        "dump, or see why they, or their service broker, do not fit"
    )


def _completed(instance: ServiceInstance, around: Neighbourhood) -> ServiceInstance:
    """What older forms leave out, and what is written in another way here."""
    status, generation = instance.status, instance.metadata.generation or 1
    is_ready = is_true(status.conditions, ConditionType.READY)
    is_there = status.provision_status == _PROVISIONED or (
        # Before v0.1.20 there was no provisionStatus.
        status.provision_status is None and (is_ready or status.reconciled_generation > 0)
    )
    checksums = around.checksums.of(instance)
    unknown = ParametersFault()
    changes: dict[str, Any] = {
        "external_properties": checksums.renewed_in(status.external_properties, unknown),
        "in_progress_properties": checksums.renewed_in(status.in_progress_properties, unknown),
        "last_condition_state": last_condition_state(status.conditions),
        "user_specified_class_name": class_column(instance.spec),
        "user_specified_plan_name": wanted_plan(instance.spec).value or _plan_name(status),
    }
    if is_there:
        changes["provision_status"] = _PROVISIONED
    if is_there and status.deprovision_status not in ("Required", "Failed"):
        changes["deprovision_status"] = "Required"
    if not status.observed_generation and status.reconciled_generation:
        changes["observed_generation"] = min(status.reconciled_generation, generation)
    observed = changes.get("observed_generation", status.observed_generation)
    if is_ready and status.current_operation is None:
        changes["reconciled_generation"] = observed
    # v0.3 has labels for the references only after an update.
    metadata = with_value_labels(instance.metadata, referenced_values(instance.spec))
    metadata = metadata.model_copy(update={"generation": generation})
    return instance.model_copy(update={"metadata": metadata, "status": status.model_copy(update=changes)})


def _plan_name(status: ServiceInstanceStatus) -> str:
    state = status.external_properties or status.in_progress_properties
    return (state and (state.cluster_service_plan_external_name or state.service_plan_external_name)) or ""


def _plan_id(state: InstancePropertiesState | None) -> str:
    return (state and (state.cluster_service_plan_external_id or state.service_plan_external_id)) or ""


def _stance(instance: ServiceInstance, *, resumes: bool) -> tuple[Stance, str]:
    """What its worker may do, and what is left to do for one that has to wait."""
    status, operation = instance.status, instance.status.current_operation
    is_mitigated = status.orphan_mitigation_in_progress or is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)
    is_behind = status.observed_generation < (instance.metadata.generation or 1)
    # A deletion would be sent at once, and not when the operation ends.
    is_cut_short = instance.metadata.deletion_timestamp is not None and operation in ("Provision", "Update")
    if status.async_op_in_progress and (is_mitigated or (operation and not is_cut_short)):
        return Stance.POLLED, _FOLLOWS if is_behind and operation != "Deprovision" else ""
    if instance.metadata.deletion_timestamp is not None and status.deprovision_status in _ABSENT and not is_cut_short:
        return Stance.LEAVING, ""
    why = _left_to_do(instance, is_mitigated=is_mitigated)
    if not why:
        return Stance.AT_REST, ""
    return (Stance.RESUMED if resumes else Stance.HELD), why


def _left_to_do(instance: ServiceInstance, *, is_mitigated: bool) -> str:
    status = instance.status
    if instance.metadata.deletion_timestamp is not None:
        return "it is being deleted, and its service broker has to deprovision it"
    if is_mitigated:
        return "what a failed provisioning may have left at its service broker is to be deleted"
    if status.current_operation is not None:
        return f"the {status.current_operation.lower()} was being tried, and nobody knows what came of it"
    is_behind = status.observed_generation < (instance.metadata.generation or 1)
    if is_true(status.conditions, ConditionType.FAILED):
        return "its specification was changed after it had failed" if is_behind else ""
    if status.provision_status != _PROVISIONED:
        return "it was not provisioned yet"
    if is_behind:
        return "its specification was changed, and its service broker has not been told"
    return "" if is_true(status.conditions, ConditionType.READY) else "it is neither ready nor failed"


def _memory(instance: ServiceInstance, around: Neighbourhood, *, is_polled: bool) -> InstanceMemory:
    status, spec = instance.status, instance.spec
    has, asked = _plan_id(status.external_properties), _plan_id(status.in_progress_properties)
    is_update = status.current_operation == "Update"
    is_pending = is_update or status.observed_generation < (instance.metadata.generation or 1)
    # One more was asked for, if that is what the update is about.
    told = max(0, spec.update_requests - 1) if is_pending else spec.update_requests
    applied = RequestDigest(update_requests=told, checksum=_checksum(status.external_properties))
    tried = RequestDigest(update_requests=spec.update_requests, checksum=_checksum(status.in_progress_properties))
    return InstanceMemory(
        lane=around.lane,
        id_lane=around.lane,
        service_id=around.service_id,
        plan_id=has or asked or around.plan_id,
        wanted_plan_id=asked if is_update else "",
        last_applied=applied,
        last_attempted=tried if status.in_progress_properties else applied,
        poll_until=around.now.timestamp() + around.poll_seconds if is_polled else None,
        polls=1 if is_polled else 0,
    )


def _checksum(state: InstancePropertiesState | None) -> str:
    return (state.parameter_checksum if state else None) or ""


def _held(instance: ServiceInstance, why: str, around: Neighbourhood) -> ServiceInstance:
    """One that says so. What serves goes on being ready."""
    status, meta = instance.status, instance.metadata
    ready = find_condition(status.conditions, ConditionType.READY)
    serves = ready is not None and ready.status == ConditionStatus.TRUE
    go_on = f"To have Chandlery go on with it: {retry(INSTANCE, meta)}"
    told = joined(f"{HELD_SENTENCE}, although {why}", go_on)
    before = ready if ready and not serves else None
    message = joined(before.message, told) if before and before.message else told
    conditions = with_condition(
        status.conditions,
        ConditionType.RECONCILING if serves else ConditionType.READY,
        status=ConditionStatus.TRUE if serves else _not_true(before),
        reason=_reason(before, instance),
        message=message,
        now=around.now,
    )
    changes = {"conditions": conditions, "last_condition_state": last_condition_state(conditions)}
    return instance.model_copy(update={"status": status.model_copy(update=changes)})


def _not_true(before: Condition | None) -> ConditionStatus:
    return before.status if before else ConditionStatus.FALSE


def _reason(before: Condition | None, instance: ServiceInstance) -> str:
    """The one that it had; what it waits for, if it had none."""
    if before and before.reason:
        return before.reason
    return "UpdatingInstance" if instance.status.provision_status == _PROVISIONED else "Provisioning"
