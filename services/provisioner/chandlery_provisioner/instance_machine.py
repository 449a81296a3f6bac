"""The state machine of a service instance, first half: snapshot -> action. Pure; `instance_outcomes.py` is the other half.

Order of questions: is a request of a dead worker open, is the broker at work, may something be left over, is the
instance to go, is there a newer wish. Each early return is one answer.
"""

from datetime import datetime

from chandlery.model.conditions import ConditionType, is_true
from chandlery.model.faults import ParametersFault
from chandlery.model.names import FINALIZER
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.change import bindings_key, broker_key
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery_provisioner.instance_snapshot import (
    Action,
    Deprovision,
    Finish,
    Idle,
    InstanceSnapshot,
    Poll,
    Provision,
    Refuse,
    Repeat,
    Update,
    Wait,
)


def decide(snapshot: InstanceSnapshot, now: datetime) -> Action:  # noqa: PLR0911 - one return for each question
    """What is to be done with the instance now."""
    instance, status = snapshot.instance, snapshot.instance.status
    if FINALIZER not in (instance.metadata.finalizers or []):
        return Idle()
    if snapshot.in_flight is not None:
        # Before anything else: only the same request, repeated, tells what came of the first.
        return _reach(snapshot) or Repeat(snapshot.in_flight)
    is_deleted = instance.metadata.deletion_timestamp is not None
    if status.async_op_in_progress and not _may_interrupt(snapshot):
        return _poll(snapshot)
    if status.orphan_mitigation_in_progress:
        return _reach(snapshot) or _deprovision(snapshot, is_mitigation=not is_deleted)
    if is_deleted:
        return _delete(snapshot)
    if _is_processed(snapshot):
        return Idle()
    return _grant(snapshot)


def _may_interrupt(snapshot: InstanceSnapshot) -> bool:
    # OSB lets a platform delete while a creation runs, and the broker has to halt it. One that will not is polled.
    # Bindings have to go first; until they have, the operation is polled as if nobody had asked.
    return (
        snapshot.instance.metadata.deletion_timestamp is not None
        and not snapshot.bindings
        and snapshot.instance.status.current_operation in ("Provision", "Update")
        and not snapshot.instance.status.orphan_mitigation_in_progress
        and not snapshot.memory.delete_deferred
    )


def _is_processed(snapshot: InstanceSnapshot) -> bool:
    status = snapshot.instance.status
    if status.observed_generation < (snapshot.instance.metadata.generation or 1):
        return False
    return is_true(status.conditions, ConditionType.READY) or is_true(status.conditions, ConditionType.FAILED)


def _poll(snapshot: InstanceSnapshot) -> Action:
    memory = snapshot.memory
    return _reach(snapshot) or Poll(memory.service_id, memory.plan_id, snapshot.instance.status.last_operation)


def _delete(snapshot: InstanceSnapshot) -> Action:
    instance = snapshot.instance
    if snapshot.bindings:
        return Wait(
            InstanceReason.BLOCKED_BY_BINDINGS,
            f"All associated ServiceBindings must be removed before this ServiceInstance can be deleted; "
            f"{snapshot.bindings} left",
            bindings_key(instance.metadata.namespace, instance.metadata.name),
        )
    if instance.status.deprovision_status in ("NotRequired", "Succeeded"):
        return Finish()
    return _reach(snapshot) or _deprovision(snapshot, is_mitigation=False)


def _reach(snapshot: InstanceSnapshot) -> Wait | None:
    access = snapshot.access
    return Wait(access.reason, access.message, access.waiting_for) if access else None


def _deprovision(snapshot: InstanceSnapshot, *, is_mitigation: bool) -> Deprovision:
    # From memory, not from the catalog: the class may be gone by now, and a failed update must not change the plan.
    return Deprovision(snapshot.memory.service_id, snapshot.memory.plan_id, is_mitigation)


def _grant(snapshot: InstanceSnapshot) -> Action:
    offering = snapshot.offering
    if isinstance(offering, Unresolved):
        return Wait(offering.reason, offering.message, offering.waiting_for)
    is_new = snapshot.instance.status.provision_status != "Provisioned"
    plan_changes = is_new or offering.plan.spec.external_id != snapshot.memory.plan_id
    if is_new and offering.broker.metadata.deletion_timestamp is not None:
        # Something new would only keep the broker from going.
        name = offering.broker.metadata.name
        key = broker_key(offering.broker.metadata.namespace, name)
        return Wait(InstanceReason.NO_SUCH_BROKER, f'The broker "{name}" is being deleted', key)
    if plan_changes and (removed := _removed(offering)):
        return removed
    if isinstance(snapshot.parameters, ParametersFault):
        return Wait(InstanceReason.ERROR_WITH_PARAMETERS, snapshot.parameters.message, None)
    if waiting := _reach(snapshot):
        return waiting
    sent = snapshot.parameters.sent
    service_id, plan_id = offering.service_class.spec.external_id, offering.plan.spec.external_id
    if is_new:
        return Provision(service_id, plan_id, sent or None)
    if plan_changes and not offering.is_plan_updatable:
        return Refuse(
            InstanceReason.UPDATE_FAILED,
            f"The class {offering.service_class.spec.external_name!r} does not allow plan changes; "
            f"set the plan back, or create another instance",
        )
    before = snapshot.instance.status.external_properties
    same_parameters = before is not None and (before.parameter_checksum or "") == snapshot.parameters.checksum
    # After an update of unknown fate nobody knows what the broker has: going back has to be said in full.
    open_plan = snapshot.memory.wanted_plan_id
    return Update(
        service_id,
        snapshot.memory.plan_id,
        plan_id if plan_changes or open_plan not in ("", plan_id) else None,
        None if same_parameters and not open_plan else sent,
    )


def _removed(offering: Offering) -> Wait | None:
    if offering.service_class.status.removed_from_broker_catalog:
        name = offering.service_class.spec.external_name
        message = f"The class {name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_CLASS, message, None)
    if offering.plan.status.removed_from_broker_catalog:
        message = f"The plan {offering.plan.spec.external_name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_PLAN, message, None)
    return None
