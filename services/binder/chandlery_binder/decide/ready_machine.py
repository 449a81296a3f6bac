"""The state machine of a ready binding: is the Secret in order, is an operation under way, what is due. Pure."""

from datetime import datetime

from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.operation.version_matrix import knows_field
from chandlery.reconcile.reconcile_result import Idle, Refuse, Wait
from chandlery_binder.decide.bind_conditions import Bindable, bindable, usable_parameters
from chandlery_binder.facts.binding_actions import (
    Action,
    PollBackgroundOperation,
    Postpone,
    Recover,
    ReportLost,
    Restore,
    Retire,
    Rotate,
)
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, SecretState
from chandlery_binder.rotation.rotation_schedule import expiry, next_retirement, next_rotation


def decide_ready(snapshot: BindingSnapshot, now: datetime) -> Action:
    """What is to be done with a binding that is ready and wanted."""
    moment = now.timestamp()
    if snapshot.secret != SecretState.INTACT and snapshot.sealed.delivered is not None:
        return Restore(snapshot.sealed.delivered)
    background = snapshot.memory.background_operation
    if background is not None:
        return (
            (_out_of_reach(snapshot) or PollBackgroundOperation(background)) if background.next_at <= moment else Idle()
        )
    retirement = next_retirement(snapshot)
    if retirement is not None and retirement.next_at <= moment:
        return _out_of_reach(snapshot) or Retire(retirement.placement)
    rotation = next_rotation(snapshot)
    if rotation is not None and rotation <= moment:
        return _rotate(snapshot, moment)
    if snapshot.secret == SecretState.MISSING:
        return _recover(snapshot)
    return Idle()


def finish_rotation_first(snapshot: BindingSnapshot, request: OpenBindingRequest) -> Action:
    """A dead worker has asked for other credentials: only the same request, repeated, tells what came of it."""
    return _out_of_reach(snapshot) or Repeat(request)


def _out_of_reach(snapshot: BindingSnapshot) -> Postpone | None:
    return _postpone(snapshot.unreachable) if snapshot.unreachable else None


def _rotate(snapshot: BindingSnapshot, moment: float) -> Action:
    found = bindable(snapshot)
    if isinstance(found, Wait | Refuse):
        return _postpone(found)
    current = snapshot.placement
    if found.instance.spec.external_id != current.instance_id:
        name = snapshot.binding.spec.instance_ref.name
        message = f'The ServiceInstance "{name}" was deleted and created again. Delete this binding and create it again'
        return Postpone(BindingReason.ROTATION_FAILED, message, None)
    parameters = usable_parameters(snapshot, found.offering)
    is_successor = _is_rotatable(snapshot, found, moment)
    if isinstance(parameters, Wait) and not is_successor:
        return _postpone(parameters)
    is_retrievable = found.offering.service_class.spec.binding_retrievable
    # A broker carries the parameters of the predecessor over.
    sent = None if is_successor or isinstance(parameters, Wait) else parameters.sent or None
    rotate = Rotate(current, current if is_successor else None, sent, accepts_incomplete=is_retrievable)
    return _out_of_reach(snapshot) or rotate


def _is_rotatable(snapshot: BindingSnapshot, found: Bindable, moment: float) -> bool:
    # OSB v2.17, "Binding Rotation": only where the plan says so, and from a predecessor that has not expired.
    plan, end = found.offering.plan.spec, expiry(snapshot.binding.status)
    is_current = plan.external_id == snapshot.placement.plan_id
    knows = knows_field(Verb.BIND, "predecessor_binding_id", found.offering.broker.spec.osb_api_version)
    return plan.binding_rotatable and knows and is_current and (end is None or end > moment)


def _postpone(obstacle: Wait | Refuse) -> Postpone:
    key = obstacle.waiting_for if isinstance(obstacle, Wait) else None
    return Postpone(obstacle.reason, obstacle.message, key)


def _recover(snapshot: BindingSnapshot) -> Action:
    offering = snapshot.offering
    if isinstance(offering, Offering) and offering.service_class.spec.binding_retrievable:
        return _out_of_reach(snapshot) or Recover(snapshot.placement)
    return Idle() if snapshot.memory.secret_problem else ReportLost()
