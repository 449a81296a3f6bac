"""The state machine of an instance, first half: snapshot -> action. Pure; `instance_outcomes.py` is the other half.

Order of questions: is a request of a dead worker open, is the broker at work, may something be left over, is the
instance to go, is there a newer wish. Each early return is one answer.
"""

from dataclasses import replace

from chandlery.model.conditions import ConditionType, is_true
from chandlery.model.faults import ParametersFault
from chandlery.model.names import FINALIZER
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.actions import Finish, Idle, Refuse, Wait
from chandlery.reconcile.change import bindings_key, broker_key, offering_key
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.parameters import Parameters
from chandlery_provisioner.instance_snapshot import (
    Action,
    Deprovision,
    InstanceSnapshot,
    Poll,
    Provision,
    Repeat,
    Update,
)


def decide(snapshot: InstanceSnapshot) -> Action:
    """What is to be done with the instance now."""
    instance, status = snapshot.instance, snapshot.instance.status
    if FINALIZER not in (instance.metadata.finalizers or []):
        return Idle()
    if snapshot.in_flight is not None:
        # Before anything else: only the same request, repeated, tells what came of the first.
        return _reach(snapshot) or Repeat(snapshot.in_flight)
    if status.async_op_in_progress and not _may_interrupt(snapshot):
        return _poll(snapshot)
    if status.orphan_mitigation_in_progress:
        return _reach(snapshot) or _deprovision(snapshot, is_mitigation=not snapshot.is_deleted)
    if snapshot.is_deleted:
        return _delete(snapshot)
    if _is_processed(snapshot):
        return Idle()
    return _grant(snapshot)


def _may_interrupt(snapshot: InstanceSnapshot) -> bool:
    # OSB lets a platform delete while a creation runs, and the broker has to halt it. One that will not is polled.
    # Bindings have to go first; until they have, the operation is polled as if nobody had asked.
    return (
        snapshot.is_deleted
        and not snapshot.bindings
        and snapshot.instance.status.current_operation in ("Provision", "Update")
        and not snapshot.instance.status.orphan_mitigation_in_progress
        and not snapshot.memory.delete_deferred
    )


def _is_processed(snapshot: InstanceSnapshot) -> bool:
    status = snapshot.instance.status
    if status.observed_generation < snapshot.generation:
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
    parameters = snapshot.parameters
    if isinstance(parameters, ParametersFault):
        return Wait(InstanceReason.ERROR_WITH_PARAMETERS, parameters.message, parameters.waiting_for)
    if waiting := _reach(snapshot):
        return waiting
    if is_new:
        service_id, plan_id = offering.service_class.spec.external_id, offering.plan.spec.external_id
        return Provision(service_id, plan_id, parameters.sent or None)
    if plan_changes and (refused := _refused_change(snapshot, offering)):
        return refused
    return _update(snapshot, offering, parameters)


def _update(snapshot: InstanceSnapshot, offering: Offering, parameters: Parameters) -> Update:
    memory, before = snapshot.memory, snapshot.instance.status.external_properties
    same_parameters = before is not None and (before.parameter_checksum or "") == parameters.checksum
    plan_id = offering.plan.spec.external_id
    # After an update of unknown fate nobody knows what the broker has: going back has to be said in full.
    same_plan = plan_id == memory.plan_id and memory.wanted_plan_id in ("", plan_id)
    return Update(
        offering.service_class.spec.external_id,
        memory.plan_id,
        None if same_plan else plan_id,
        None if same_parameters and not memory.wanted_plan_id else parameters.sent,
    )


def _refused_change(snapshot: InstanceSnapshot, offering: Offering) -> Refuse | None:
    # OSB v2.17, "Updating a Service Instance": the plan that the instance has decides, not the one that is wanted.
    current, service_class = snapshot.current_plan, offering.service_class.spec
    may_leave = replace(offering, plan=current).is_plan_updatable if current else service_class.plan_updatable
    if may_leave:
        return None
    plan = f"the plan {current.spec.external_name!r}" if current else "its plan"
    return Refuse(
        InstanceReason.UPDATE_FAILED,
        f"The class {service_class.external_name!r} does not allow an instance to leave {plan}; "
        f"set the plan back, or create another instance",
    )


def _removed(offering: Offering) -> Wait | None:
    service_class, plan = offering.service_class, offering.plan
    # A class or plan that comes back wakes who waits for its class by its name.
    key = offering_key(service_class.metadata.namespace, service_class.metadata.name)
    if service_class.status.removed_from_broker_catalog:
        message = f"The class {service_class.spec.external_name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_CLASS, message, key)
    if plan.status.removed_from_broker_catalog:
        message = f"The plan {plan.spec.external_name!r} has been removed from the broker's catalog"
        return Wait(InstanceReason.DELETED_PLAN, message, key)
    return None
