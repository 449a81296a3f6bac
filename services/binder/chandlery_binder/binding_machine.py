"""The state machine of a binding, first half: snapshot -> action. Pure; `binding_outcomes.py` is the other half.

Order of questions: is a request of a dead worker open or are credentials undelivered, is the broker at work, may
something be left over, is the binding to go, is it settled, are credentials to be fetched, may it be bound. Each early
return is one answer.
"""

from chandlery.model.bindings import ServiceBinding
from chandlery.model.conditions import ConditionType, find_condition, is_true
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import ServiceInstance
from chandlery.model.names import FINALIZER
from chandlery.model.reasons import BindingReason
from chandlery.reconcile.actions import Finish, Idle, Refuse, Wait
from chandlery.reconcile.change import instance_key
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery_binder.binding_notes import InFlight, Placement, Purpose
from chandlery_binder.binding_snapshot import (
    Action,
    Bind,
    BindingSnapshot,
    Fetch,
    Inject,
    Poll,
    Repeat,
    Unbind,
)


def decide(snapshot: BindingSnapshot) -> Action:
    """What is to be done with the binding now."""
    binding, status = snapshot.binding, snapshot.binding.status
    if FINALIZER not in (binding.metadata.finalizers or []):
        return Idle()
    if snapshot.open_end is not None:
        return _finish_first(snapshot, snapshot.open_end)
    if status.async_op_in_progress and not _may_interrupt(snapshot):
        return _reach(snapshot) or Poll(snapshot.placement, status.last_operation)
    if status.orphan_mitigation_in_progress:
        return _reach(snapshot) or Unbind(snapshot.placement, is_mitigation=not snapshot.is_deleted)
    if snapshot.is_deleted:
        return _delete(snapshot)
    if is_true(status.conditions, ConditionType.READY) or is_true(status.conditions, ConditionType.FAILED):
        # The specification of a binding never changes, so there is no newer wish to look for.
        return Idle()
    if snapshot.memory.is_fetch_due:
        return _reach(snapshot) or Fetch(snapshot.placement)
    return _grant(snapshot)


def _finish_first(snapshot: BindingSnapshot, open_end: InFlight) -> Action:
    if open_end.purpose == Purpose.INJECT:
        return Inject(open_end)
    # Before anything else: only the same request, repeated, tells what came of the first.
    return _reach(snapshot) or Repeat(open_end)


def _may_interrupt(snapshot: BindingSnapshot) -> bool:
    # OSB lets a platform delete while a creation runs. A broker that will not have it says so and is polled.
    status = snapshot.binding.status
    return (
        snapshot.is_deleted
        and status.current_operation == "Bind"
        and not status.orphan_mitigation_in_progress
        and not snapshot.memory.unbind_deferred
    )


def _reach(snapshot: BindingSnapshot) -> Wait | None:
    access = snapshot.access
    return Wait(access.reason, access.message, access.waiting_for) if access else None


def _delete(snapshot: BindingSnapshot) -> Action:
    if snapshot.eject_problem is not None:
        return Wait(BindingReason.ERROR_EJECTING, snapshot.eject_problem, None)
    if snapshot.binding.status.unbind_status in ("NotRequired", "Succeeded"):
        return Finish()
    return _reach(snapshot) or Unbind(snapshot.placement, is_mitigation=False)


def _grant(snapshot: BindingSnapshot) -> Action:
    binding, instance, offering = snapshot.binding, snapshot.instance, snapshot.offering
    if instance is None:
        name = binding.spec.instance_ref.name
        return _wait_for_instance(
            binding,
            BindingReason.NO_SUCH_INSTANCE,
            f'The binding references a ServiceInstance "{name}" that does not exist',
        )
    if instance.metadata.deletion_timestamp is not None:
        return _not_ready(binding, "is being deleted")
    if offering is None:
        return _wait_for_instance(
            binding,
            BindingReason.INSTANCE_UNRESOLVED,
            f'The ServiceInstance "{instance.metadata.name}" has not found its class and plan yet',
        )
    if isinstance(offering, Unresolved):
        return Wait(offering.reason, offering.message, offering.waiting_for)
    if not offering.is_bindable:
        return Refuse(
            BindingReason.NOT_BINDABLE,
            f'The plan "{offering.plan.spec.external_name}" of the class "{offering.service_class.spec.external_name}" '
            f"cannot be bound",
        )
    if snapshot.instance_notes.is_unusable:
        return _not_ready(binding, "cannot be used: its service broker wants no new bindings to it")
    if not is_true(instance.status.conditions, ConditionType.READY):
        return _not_ready(binding, _why_not_ready(instance))
    if isinstance(snapshot.parameters, ParametersFault):
        fault = snapshot.parameters
        return Wait(BindingReason.ERROR_WITH_PARAMETERS, fault.message, fault.waiting_for)
    is_retrievable = offering.service_class.spec.binding_retrievable
    # An asynchronous bind carries no credentials; they have to be fetched, so only who can be asked may take its time.
    bind = Bind(
        _wanted(snapshot, instance, offering), snapshot.parameters.sent or None, accepts_incomplete=is_retrievable
    )
    return _reach(snapshot) or bind


def _wanted(snapshot: BindingSnapshot, instance: ServiceInstance, offering: Offering) -> Placement:
    notes = snapshot.instance_notes
    return Placement(
        instance_id=instance.spec.external_id,
        service_id=notes.service_id or offering.service_class.spec.external_id,
        plan_id=notes.plan_id or offering.plan.spec.external_id,
    )


def _wait_for_instance(binding: ServiceBinding, reason: BindingReason, message: str) -> Wait:
    return Wait(reason, message, instance_key(binding.metadata.namespace, binding.spec.instance_ref.name))


def _not_ready(binding: ServiceBinding, why: str) -> Wait:
    name = binding.spec.instance_ref.name
    return _wait_for_instance(binding, BindingReason.INSTANCE_NOT_READY, f'The ServiceInstance "{name}" {why}')


def _why_not_ready(instance: ServiceInstance) -> str:
    ready = find_condition(instance.status.conditions, ConditionType.READY)
    return f"is not ready: {ready.reason}" if ready and ready.reason else "is not ready"
