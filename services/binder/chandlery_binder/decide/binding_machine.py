"""The state machine of a binding, first half: what is to be done. Pure; `binding_outcomes.py` is the other half.

Comes in: a `BindingSnapshot`, which the claim has read: the object, its instance, the offering, the parameters,
the notes, what is sealed, the state of its Secret, and whether its broker can be called. Goes out: one action.
That is a call to the broker (`planned_calls.py` makes its request), a Secret to write, or a change of the status alone.

Order of questions: is its id at the broker its own, do users ask for something (`requested_actions.py`), is the binding
to go, are credentials undelivered or is a request of unknown fate open, is the broker at work, may something be left
over, is it ready, has it failed, are credentials to be fetched, may it be bound (`bind_conditions.py`). Each early
return is one answer. `ready_machine.py` goes on for a binding that is ready.

Called by: `binding_reconciler.py`, in the transaction of the claim.
"""

from datetime import datetime

from chandlery.model.objects.reasons import BindingReason
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.reconcile_result import Finish, Idle, Refuse, Wait
from chandlery_binder.absorb.foreign_bindings import without_id
from chandlery_binder.decide.bind_conditions import Bindable, bindable, sibling_first, usable_parameters
from chandlery_binder.decide.ready_machine import decide_ready, finish_rotation_first
from chandlery_binder.decide.requested_actions import requested_action
from chandlery_binder.facts.binding_actions import (
    Abandon,
    Action,
    Bind,
    FetchCredentials,
    ForceFinish,
    Inject,
    PollBinding,
    Unbind,
)
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import Placement

_PLACE_UNKNOWN = "Chandlery does not know which service broker holds the binding"


def decide(snapshot: BindingSnapshot, now: datetime) -> Action:
    """What is to be done with the binding now."""
    if FINALIZER not in (snapshot.binding.metadata.finalizers or []):
        return Idle()
    if snapshot.is_id_foreign:
        return without_id(snapshot, _ejected(snapshot))
    if action := requested_action(snapshot):
        return action
    if snapshot.is_deleted:
        return _end(snapshot)
    return _go_on(snapshot, now)


def _go_on(snapshot: BindingSnapshot, now: datetime) -> Action:
    status = snapshot.binding.status
    if snapshot.undelivered is not None:
        return Inject(snapshot.undelivered)
    if snapshot.to_repeat is not None:
        return _repeat(snapshot, snapshot.to_repeat)
    if status.async_op_in_progress and not _is_unbinding_anew(snapshot):
        return snapshot.unreachable or PollBinding(snapshot.placement, status.last_operation)
    if status.orphan_mitigation_in_progress:
        return _unbind(snapshot, is_mitigation=True)
    if snapshot.is_mitigation_held:
        return Idle()
    if snapshot.is_ready:
        return decide_ready(snapshot, now)
    if snapshot.is_failed:
        # The specification of a binding never changes, so there is no newer one to look for.
        return Idle()
    if snapshot.memory.is_fetch_due:
        return snapshot.unreachable or FetchCredentials(snapshot.placement)
    return _bind(snapshot)


def _end(snapshot: BindingSnapshot) -> Action:
    requested_actions, status = snapshot.requested_actions, snapshot.binding.status
    if requested_actions.abandons:
        return _ejected(snapshot) or Abandon()
    if requested_actions.forces_deletion:
        return _ejected(snapshot) or _force(snapshot)
    if snapshot.to_repeat is not None:
        return _repeat(snapshot, snapshot.to_repeat)
    if status.async_op_in_progress and not _may_interrupt(snapshot):
        return snapshot.unreachable or PollBinding(snapshot.placement, status.last_operation)
    if status.orphan_mitigation_in_progress:
        return _unbind(snapshot, is_mitigation=False)
    if waiting := _ejected(snapshot):
        return waiting
    if not snapshot.may_exist:
        return Finish()
    return _unbind(snapshot, is_mitigation=False)


def _force(snapshot: BindingSnapshot) -> Action:
    status = snapshot.binding.status
    if not snapshot.may_exist:
        return Finish()
    if snapshot.access is not None:
        return ForceFinish(snapshot.access.message)
    if status.async_op_in_progress and _is_unbinding(snapshot):
        return PollBinding(snapshot.placement, status.last_operation)
    if not _is_known(snapshot.placement):
        return ForceFinish(_PLACE_UNKNOWN)
    return Unbind(snapshot.placement, is_mitigation=False)


def _ejected(snapshot: BindingSnapshot) -> Wait | None:
    problem = snapshot.eject_problem
    return Wait(BindingReason.ERROR_EJECTING, problem, None) if problem is not None else None


def _repeat(snapshot: BindingSnapshot, request: OpenBindingRequest) -> Action:
    if request.granted is not None:
        # Its answer is there, and nothing has to be sent for it.
        return Repeat(request)
    if request.purpose.traits.is_beside_ready and not snapshot.is_deleted:
        return finish_rotation_first(snapshot, request)
    # Before anything else: only the same request, repeated, tells what came of the first.
    return snapshot.unreachable or Repeat(request)


def _may_interrupt(snapshot: BindingSnapshot) -> bool:
    # OSB lets a platform delete while a creation runs. A broker that will not have it says so and is polled.
    if _is_unbinding(snapshot):
        return _is_unbinding_anew(snapshot)
    return not snapshot.memory.unbind_deferred or snapshot.is_retry_requested


def _is_unbinding(snapshot: BindingSnapshot) -> bool:
    status = snapshot.binding.status
    return status.current_operation == "Unbind" or status.orphan_mitigation_in_progress


def _is_unbinding_anew(snapshot: BindingSnapshot) -> bool:
    # The same DELETE once more is harmless by OSB, and tells anew what has become of the first.
    return _is_unbinding(snapshot) and snapshot.is_retry_requested


def _unbind(snapshot: BindingSnapshot, *, is_mitigation: bool) -> Action:
    if waiting := snapshot.unreachable:
        return waiting
    if not _is_known(snapshot.placement):
        # An object that came without its notes, from a backup for instance.
        return Wait(BindingReason.NO_SUCH_INSTANCE, _PLACE_UNKNOWN, None)
    return Unbind(snapshot.placement, is_mitigation)


def _is_known(placement: Placement) -> bool:
    return bool(placement.instance_id and placement.service_id and placement.plan_id)


def _bind(snapshot: BindingSnapshot) -> Action:
    found = bindable(snapshot)
    if isinstance(found, Wait | Refuse):
        return found
    parameters = usable_parameters(snapshot, found.offering)
    if isinstance(parameters, Wait):
        return parameters
    if waiting := sibling_first(snapshot):
        return waiting
    is_retrievable = found.offering.service_class.spec.binding_retrievable
    # An asynchronous bind carries no credentials; they have to be fetched, so only who can be asked may take its time.
    bind = Bind(_wanted(snapshot, found), parameters.sent or None, accepts_incomplete=is_retrievable)
    return snapshot.unreachable or bind


def _wanted(snapshot: BindingSnapshot, found: Bindable) -> Placement:
    notes, offering = snapshot.instance_notes, found.offering
    return Placement(
        instance_id=found.instance.spec.external_id,
        service_id=notes.service_id or offering.service_class.spec.external_id,
        plan_id=notes.plan_id or offering.plan.spec.external_id,
        binding_id=snapshot.memory.placement.binding_id,
    )
