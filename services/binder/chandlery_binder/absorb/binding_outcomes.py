"""The state machine of a binding, second half: what becomes of it. Pure; `binding_machine.py` is the first half.

Comes in: the snapshot, and either the answer to a call with what came of writing the Secret (`absorb`), a call
that takes its time (`announce`), or an action that needs none (`uncalled`). Goes out: a `BindingResult`, which is
the object as it should be now, the notes, what is sealed, the events, whom to wake, and when to look again.

The rules are those of the OSB table of orphan mitigation and of the reference's conditions, with two differences. Only
what a broker says of this very bind is final (`bind_answers.py`). And after a 5xx or a lost answer the bind is tried
again with the same id, though not before the broker has confirmed that nothing is left of the first.

Called by: `binding_reconciler.py`, in the transaction of the claim or of the record.
"""

from datetime import datetime, timedelta

from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.reconcile_result import Disown, Finish, Idle, Refuse, Wait
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.bind_answers import (
    absorb_delivery,
    absorb_failed_bind,
    absorb_failed_fetch,
    absorb_lost_credentials,
)
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_ends import forced
from chandlery_binder.absorb.binding_history import history_of, with_answer
from chandlery_binder.absorb.binding_remedies import how_to_forget_unasked, while_waiting
from chandlery_binder.absorb.foreign_bindings import disown
from chandlery_binder.absorb.requested_outcomes import carry_out
from chandlery_binder.absorb.unbind_answers import absorb_poll, absorb_unbind, begin_polling
from chandlery_binder.decide.bind_conditions import parameter_keys
from chandlery_binder.facts.bind_grants import Grant, checked, grant_of
from chandlery_binder.facts.binding_actions import Abandon, ForceFinish, Postpone, ReportLost, Uncalled
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, InjectionProblem
from chandlery_binder.rotation.rotation_answers import absorb_beside
from chandlery_binder.secret.restoration import absorb_failed_recovery, absorb_restoration, report_lost


def absorb(
    snapshot: BindingSnapshot,
    sent: OpenBindingRequest,
    *,
    answer: Answer,
    now: datetime,
    problem: InjectionProblem | None = None,
) -> BindingResult:
    """What the answer to `sent` changes. `problem` is what came of injecting `credentials_of` the same answer."""
    answer = checked(answer)
    result = _absorbed(snapshot, sent, answer=answer, now=now, problem=problem)
    return with_answer(snapshot, sent, answer=answer, result=result, problem=problem, now=now)


def _absorbed(
    snapshot: BindingSnapshot,
    sent: OpenBindingRequest,
    *,
    answer: Answer,
    now: datetime,
    problem: InjectionProblem | None,
) -> BindingResult:
    draft = BindingDraft.begin(snapshot, sent, now)
    match sent.purpose:
        case BindingPurpose.UNBIND | BindingPurpose.MITIGATE:
            return absorb_unbind(draft, answer)
        case BindingPurpose.POLL:
            return absorb_poll(draft, answer)
    grant = _grant(snapshot, sent, answer)
    if sent.purpose.traits.is_beside_ready:
        return absorb_beside(draft, sent, answer=answer, grant=grant, problem=problem)
    if sent.purpose in (BindingPurpose.RESTORE, BindingPurpose.RECOVER):
        if grant is None:
            return absorb_failed_recovery(draft, answer)
        return absorb_restoration(draft, credentials=grant.values, problem=problem)
    if answer.verdict == Verdict.SUCCEEDED:
        return _succeeded(snapshot, sent, draft, grant=grant, problem=problem)
    if answer.verdict == Verdict.ACCEPTED:
        return begin_polling(draft, answer, operation="Bind")
    if sent.purpose == BindingPurpose.FETCH:
        return absorb_failed_fetch(draft, answer)
    return absorb_failed_bind(draft, sent, answer=answer, is_in_doubt=snapshot.is_in_doubt)


def uncalled(snapshot: BindingSnapshot, action: Uncalled, now: datetime) -> BindingResult:
    """What an action changes that needs no call to the broker."""
    return history_of(snapshot).without_call(result=_uncalled(snapshot, action, now), now=now)


def _uncalled(snapshot: BindingSnapshot, action: Uncalled, now: datetime) -> BindingResult:
    match action:
        case Idle():
            return idle(snapshot, now)
        case Finish():
            return finish(snapshot, now)
        case Wait():
            return wait(snapshot, action, now)
        case Refuse():
            return refuse(snapshot, action, now)
        case Abandon():
            return abandon(snapshot, now)
        case Disown():
            return disown(snapshot, now)
        case ForceFinish():
            return force_finish(snapshot, action, now)
        case Postpone():
            return postpone(snapshot, action, now)
        case ReportLost():
            return lost(snapshot, now)
    return carry_out(snapshot, action, now)


def credentials_of(snapshot: BindingSnapshot, sent: OpenBindingRequest, answer: Answer) -> JsonObject | None:
    """What is to be injected now, if anything; empty for a binding that has no credentials."""
    grant = _grant(snapshot, sent, checked(answer))
    return None if grant is None else grant.values


def wait(snapshot: BindingSnapshot, action: Wait, now: datetime) -> BindingResult:
    """Say what is missing, and come back when it is there, or after a while. What is open stays open."""
    draft = BindingDraft(snapshot, now)
    unknown = snapshot.is_deleted and action.reason != BindingReason.ERROR_EJECTING
    status = ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE
    advised = while_waiting(action.reason, action.message, snapshot.binding)
    message = joined(action.message, how_to_forget_unasked(draft.metadata)) if unknown else advised
    draft.ready(status, action.reason, message=message)
    draft.say_once(action.reason, action.message, is_warning=True)
    if snapshot.has_open_end:
        draft.sealed = snapshot.sealed
    keys = parameter_keys(snapshot.binding) if action.reason == BindingReason.ERROR_WITH_PARAMETERS else ()
    return draft.wait(action.waiting_for, interests=keys if len(keys) > 1 else None)


def postpone(snapshot: BindingSnapshot, action: Postpone, now: datetime) -> BindingResult:
    """The same for a binding that stays ready meanwhile."""
    draft = BindingDraft(snapshot, now)
    draft.tell(action.reason, action.message)
    draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": action.message}))
    if snapshot.has_open_end:
        draft.sealed = snapshot.sealed
    return draft.rest_ready_later(action.waiting_for)


def refuse(snapshot: BindingSnapshot, action: Refuse, now: datetime) -> BindingResult:
    """What cannot be had fails."""
    draft = BindingDraft(snapshot, now)
    draft.fail(action.reason, action.reason, message=action.message)
    return draft.rest()


def finish(snapshot: BindingSnapshot, now: datetime) -> BindingResult:
    """Nothing of the binding itself is left at the broker: go on with what is beside it, or let the object go."""
    draft = BindingDraft(snapshot, now)
    return draft.turn_to_next() or draft.gone()


def abandon(snapshot: BindingSnapshot, now: datetime) -> BindingResult:
    """Let the object go without its broker, which keeps what it has."""
    draft = BindingDraft(snapshot, now)
    if snapshot.may_exist or snapshot.others:
        message = (
            "The binding was deleted without calling its service broker. Anything the broker still holds for "
            "it stays there"
        )
        draft.say(BindingReason.ABANDONED, message, is_warning=True)
    return draft.gone()


def force_finish(snapshot: BindingSnapshot, action: ForceFinish, now: datetime) -> BindingResult:
    """Let the object go although its broker could not be asked."""
    return forced(BindingDraft(snapshot, now), message=action.why)


def lost(snapshot: BindingSnapshot, now: datetime) -> BindingResult:
    """The Secret of a binding is gone for good."""
    return report_lost(BindingDraft(snapshot, now))


def idle(snapshot: BindingSnapshot, now: datetime) -> BindingResult:
    """Nothing to do."""
    draft = BindingDraft(snapshot, now)
    if draft.memory.rotation.waits:
        # What was waited for is not wanted any more.
        draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": ""}))
    return draft.rest()


def announce(snapshot: BindingSnapshot, sent: OpenBindingRequest, now: datetime) -> BindingResult | None:
    """The status while a call takes its time; None for calls that leave no trace."""
    words = {
        BindingPurpose.BIND: (BindingReason.BIND_IN_FLIGHT, "Binding request for ServiceBinding in-flight to Broker"),
        BindingPurpose.UNBIND: (
            BindingReason.UNBIND_IN_FLIGHT,
            "Unbinding request for ServiceBinding in-flight to Broker",
        ),
    }
    if sent.purpose not in words:
        return None
    reason, message = words[sent.purpose]
    draft = BindingDraft.begin(snapshot, sent, now)
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    return history_of(snapshot).with_announcement(sent, result=draft.shown(), now=now)


def _grant(snapshot: BindingSnapshot, sent: OpenBindingRequest, answer: Answer) -> Grant | None:
    """What the answer grants; None if nothing, or nothing that anybody wants or may believe."""
    delivers = sent.purpose.traits.delivers and answer.verdict == Verdict.SUCCEEDED
    if not delivers or snapshot.is_deleted:
        return None
    offering = snapshot.offering
    requires = offering.service_class.spec.requires if isinstance(offering, Offering) else None
    grant = grant_of(answer.body, requires)
    if grant.is_empty and (sent.purpose == BindingPurpose.RECOVER or _is_second_showing(snapshot, sent)):
        return None
    return grant


def _succeeded(
    snapshot: BindingSnapshot,
    sent: OpenBindingRequest,
    draft: BindingDraft,
    *,
    grant: Grant | None,
    problem: InjectionProblem | None,
) -> BindingResult:
    if snapshot.is_deleted:
        # Credentials that are revoked next are not delivered first.
        draft.end_operation()
        return draft.again(timedelta(0), attempt=0)
    if grant is None:
        return absorb_lost_credentials(draft)
    news = None if sent.purpose.traits.is_local else grant
    return absorb_delivery(draft, grant=news, credentials=grant.values, problem=problem)


def _is_second_showing(snapshot: BindingSnapshot, sent: OpenBindingRequest) -> bool:
    # Then "no credentials" is not to be believed: some brokers show them once, and somebody may have been shown them.
    if sent.granted is not None:
        # It is the very answer that was believed before.
        return False
    memory, is_repeated = snapshot.memory, snapshot.to_repeat is not None
    match sent.purpose:
        case BindingPurpose.FETCH:
            return is_repeated or memory.fetches > 0
        case BindingPurpose.FETCH_ROTATION:
            return is_repeated or (memory.background_operation is not None and memory.background_operation.fetches > 0)
        case BindingPurpose.ROTATE:
            return is_repeated
        case BindingPurpose.INJECT | BindingPurpose.RESTORE:
            return False
    return snapshot.is_in_doubt
