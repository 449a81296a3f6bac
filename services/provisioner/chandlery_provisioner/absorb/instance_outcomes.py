"""The state machine of an instance, second half: what becomes of it. Pure; `instance_machine.py` is the first half.

Comes in: the snapshot, and either the answer to a call (`absorb`), a call that takes its time (`announce`), or an
action that needs none (`uncalled`). Goes out: an `InstanceResult`, which is the object as it should be now, the
notes, the events, whom to wake, and when to look again.

The rules are those of the OSB table of orphan mitigation and of the reference's conditions; a 400 to a provision or an
update is final for this generation, everything else is tried again by schedule until the operation's time is up.
`operation_answers.py` has them, request by request; `instance_ends.py` and `operation_ends.py` have the ways in which
an attempt ends, and `instance_draft.py` the words that all of them are written in. What the operation history is told
of it comes last (`instance_history.py`).

Called by: `instance_reconciler.py`, in the transaction of the claim or of the record.
"""

from datetime import datetime, timedelta

from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery.reconcile.reconcile_result import Disown, Finish, Idle, Refuse, Wait
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.foreign_instances import disown
from chandlery_provisioner.absorb.instance_draft import InstanceDraft, InstanceResult
from chandlery_provisioner.absorb.instance_ends import give_up, hold_mitigation, let_go, waive_mitigation
from chandlery_provisioner.absorb.instance_history import history_of, with_answer
from chandlery_provisioner.absorb.operation_answers import (
    absorb_deprovision,
    absorb_fetch,
    absorb_poll,
    absorb_provision,
    absorb_update,
)
from chandlery_provisioner.absorb.operation_ends import give_up_update, show_operation
from chandlery_provisioner.facts.instance_notes import InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import AlreadyApplied, InstanceSnapshot, LetGo, Uncalled

_IN_FLIGHT = {
    InstancePurpose.PROVISION: (
        InstanceReason.PROVISION_IN_FLIGHT,
        "Provision request for ServiceInstance in-flight to Broker",
    ),
    InstancePurpose.UPDATE: (InstanceReason.UPDATE_IN_FLIGHT, "Update request for ServiceInstance in-flight to Broker"),
    InstancePurpose.DEPROVISION: (
        InstanceReason.DEPROVISION_IN_FLIGHT,
        "Deprovision request for ServiceInstance in-flight to Broker",
    ),
}


def absorb(snapshot: InstanceSnapshot, sent: OpenInstanceRequest, answer: Answer, now: datetime) -> InstanceResult:
    """What the answer to `sent` changes."""
    result = _absorbed(snapshot, sent, answer, now)
    return with_answer(snapshot, sent, answer=answer, result=result, now=now)


def _absorbed(snapshot: InstanceSnapshot, sent: OpenInstanceRequest, answer: Answer, now: datetime) -> InstanceResult:
    draft = InstanceDraft.begin(snapshot, sent, now)
    if answer.verdict == Verdict.UNREACHABLE and draft.is_repeat:
        draft.keep_open()
    match sent.purpose:
        case InstancePurpose.PROVISION:
            return absorb_provision(draft, sent, answer)
        case InstancePurpose.UPDATE:
            return absorb_update(draft, sent, answer)
        case InstancePurpose.DEPROVISION | InstancePurpose.MITIGATE:
            return absorb_deprovision(draft, answer)
        case InstancePurpose.POLL:
            return absorb_poll(draft, answer)
        case InstancePurpose.FETCH:
            return absorb_fetch(draft, answer)


def uncalled(snapshot: InstanceSnapshot, action: Uncalled, now: datetime) -> InstanceResult:
    """What an action changes that needs no call to the broker."""
    return history_of(snapshot).without_call(result=_uncalled(snapshot, action, now), now=now)


def _uncalled(snapshot: InstanceSnapshot, action: Uncalled, now: datetime) -> InstanceResult:
    match action:
        case Idle():
            return idle(snapshot, now)
        case Finish():
            return finish(snapshot, now)
        case Wait():
            return wait(snapshot, action, now)
        case Refuse():
            return refuse(snapshot, action, now)
        case AlreadyApplied():
            return keep(snapshot, now)
        case LetGo():
            return let(snapshot, action, now)
        case Disown():
            return disown(snapshot, now)
        case AwaitMitigationDecision():
            return hold(snapshot, now)
        case WaiveMitigation():
            return waive(snapshot, now)


def wait(snapshot: InstanceSnapshot, action: Wait, now: datetime) -> InstanceResult:
    """Say what is missing, and come back when it is there, or after a while."""
    draft = InstanceDraft(snapshot, now)
    is_blocked = action.reason == InstanceReason.BLOCKED_BY_BINDINGS
    status = ConditionStatus.UNKNOWN if snapshot.is_deleted and not is_blocked else ConditionStatus.FALSE
    draft.say_once(action.reason, action.message, is_warning=True)
    if draft.serves and not snapshot.is_deleted and action.reason != InstanceReason.NO_SUCH_BROKER:
        draft.tell_update(action.reason, message=_with_remedy(snapshot, action, is_blocked=False))
        return draft.wait(action.waiting_for)
    draft.ready(status, action.reason, message=_with_remedy(snapshot, action, is_blocked=is_blocked))
    return draft.wait(action.waiting_for)


def _with_remedy(snapshot: InstanceSnapshot, action: Wait, *, is_blocked: bool) -> str:
    message, meta = action.message, snapshot.instance.metadata
    if not snapshot.is_deleted:
        return instance_remedies.while_waiting(action.reason, message, meta)
    remedy = instance_remedies.remove_with_bindings if is_blocked else instance_remedies.remove_unasked
    return joined(message, remedy(snapshot.instance.metadata))


def refuse(snapshot: InstanceSnapshot, action: Refuse, now: datetime) -> InstanceResult:
    """What cannot be had fails for this generation."""
    draft = InstanceDraft(snapshot, now)
    draft.observe(snapshot.generation)
    draft.drop(ConditionType.FAILED)
    if draft.status.provision_status == "Provisioned":
        return give_up_update(draft, action.reason, message=action.message)
    return give_up(draft, action.reason, action.reason, message=action.message)


def keep(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """The broker has what is desired."""
    draft = InstanceDraft(snapshot, now)
    draft.observe(snapshot.generation)
    draft.set(in_progress_properties=None)
    draft.remember(last_attempted=snapshot.memory.last_applied)
    draft.succeed(
        InstanceReason.UPDATED, "The instance already matches its specification, so the broker was not called"
    )
    return draft.rest()


def let(snapshot: InstanceSnapshot, action: LetGo, now: datetime) -> InstanceResult:
    """A person wants the object gone, whatever its broker has."""
    return let_go(InstanceDraft(snapshot, now), action.reason, message=action.message)


def hold(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """Wait for a person's word on what a failed creation may have left."""
    draft = InstanceDraft(snapshot, now)
    orphan = find_condition(draft.status.conditions, ConditionType.ORPHAN_MITIGATION)
    if orphan is not None and orphan.reason == InstanceReason.ORPHAN_MITIGATION_REQUIRED:
        return draft.hold()
    return hold_mitigation(draft, orphan.message if orphan else "The creation failed and may have left something")


def waive(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """A person wants left at the broker what a failed creation may have left."""
    return waive_mitigation(InstanceDraft(snapshot, now))


def cascaded(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """The bindings have been told to go: the instance itself is next."""
    draft = InstanceDraft(snapshot, now)
    draft.keep_open()
    return draft.again(timedelta(0), attempt=0)


def finish(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """Nothing is left at the broker: let the object go."""
    return InstanceDraft(snapshot, now).gone()


def idle(snapshot: InstanceSnapshot, now: datetime) -> InstanceResult:
    """Nothing to do."""
    return InstanceDraft(snapshot, now).rest()


def announce(snapshot: InstanceSnapshot, sent: OpenInstanceRequest, now: datetime) -> InstanceResult:
    """The status while a call takes its time."""
    draft = InstanceDraft.begin(snapshot, sent, now)
    if sent.purpose in _IN_FLIGHT:
        reason, message = _IN_FLIGHT[sent.purpose]
        show_operation(draft, reason, message=message, is_update=sent.purpose == InstancePurpose.UPDATE)
    return history_of(snapshot).with_announcement(sent, result=draft.rest(), now=now)
