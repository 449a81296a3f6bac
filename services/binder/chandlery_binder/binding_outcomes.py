"""The state machine of a binding, second half: snapshot and the broker's answer -> change. Pure.

The rules are those of the OSB table of orphan mitigation and of the reference's conditions, with two differences. Only
what a broker says of this very bind is final (`bind_refusals.py`). And after a 5xx or a lost answer the bind is tried
again with the same id, though not before the broker has confirmed that nothing is left of the first.
"""

from datetime import datetime, timedelta

from chandlery.model.conditions import ConditionStatus
from chandlery.model.reasons import BindingReason
from chandlery.model.wire import JsonObject
from chandlery.reconcile.actions import Refuse, Wait
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_binder.bind_answers import (
    absorb_delivery,
    absorb_failed_bind,
    absorb_failed_fetch,
    absorb_lost_credentials,
)
from chandlery_binder.binding_draft import BindingChange, BindingDraft
from chandlery_binder.binding_notes import InFlight, Purpose
from chandlery_binder.binding_snapshot import (
    BindingSnapshot,
    InjectionProblem,
)
from chandlery_binder.unbind_answers import absorb_poll, absorb_unbind, begin_polling

_CREDENTIALS = "credentials"


def absorb(
    snapshot: BindingSnapshot, sent: InFlight, *, answer: Answer, now: datetime, problem: InjectionProblem | None = None
) -> BindingChange:
    """What the answer to `sent` changes. `problem` is what came of injecting `credentials_of` the same answer."""
    draft = BindingDraft.begin(snapshot, sent, now)
    match sent.purpose:
        case Purpose.UNBIND | Purpose.MITIGATE:
            return absorb_unbind(draft, answer)
        case Purpose.POLL:
            return absorb_poll(draft, answer)
        case Purpose.BIND | Purpose.FETCH | Purpose.INJECT:
            pass
    if answer.verdict == Verdict.SUCCEEDED:
        return _succeeded(snapshot, sent, draft, answer=answer, problem=problem)
    if answer.verdict == Verdict.ACCEPTED:
        return begin_polling(draft, answer, operation="Bind")
    if sent.purpose == Purpose.FETCH:
        return absorb_failed_fetch(draft, answer)
    return absorb_failed_bind(draft, sent, answer=answer, is_in_doubt=snapshot.is_in_doubt)


def credentials_of(snapshot: BindingSnapshot, sent: InFlight, answer: Answer) -> JsonObject | None:
    """What is to be injected now, if anything; empty for a binding that has no credentials."""
    delivers = sent.purpose in (Purpose.BIND, Purpose.FETCH, Purpose.INJECT) and answer.verdict == Verdict.SUCCEEDED
    if not delivers or snapshot.is_deleted:
        return None
    credentials: JsonObject | None = answer.body.get(_CREDENTIALS)
    if credentials is None and _is_second_showing(snapshot, sent):
        return None
    return credentials or {}


def wait(snapshot: BindingSnapshot, action: Wait, now: datetime) -> BindingChange:
    """Say what is missing, and come back when it is there, or after a while. What is open stays open."""
    draft = BindingDraft(snapshot, now)
    unknown = snapshot.is_deleted and action.reason != BindingReason.ERROR_EJECTING
    status = ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE
    draft.ready(status, action.reason, message=action.message)
    draft.say(action.reason, action.message, is_warning=True)
    draft.keep_in_flight = snapshot.open_end.to_wire() if snapshot.open_end else None
    return draft.wait(action.waiting_for)


def refuse(snapshot: BindingSnapshot, action: Refuse, now: datetime) -> BindingChange:
    """A wish that cannot be granted fails."""
    draft = BindingDraft(snapshot, now)
    draft.fail(action.reason, action.reason, message=action.message)
    return draft.rest()


def finish(snapshot: BindingSnapshot, now: datetime) -> BindingChange:
    """Nothing is left at the broker: let the object go."""
    return BindingDraft(snapshot, now).gone()


def idle(snapshot: BindingSnapshot, now: datetime) -> BindingChange:
    """Nothing to do."""
    return BindingDraft(snapshot, now).rest()


def announce(snapshot: BindingSnapshot, sent: InFlight, now: datetime) -> BindingChange | None:
    """The status while a call takes its time; None for calls that leave no trace."""
    words = {
        Purpose.BIND: (BindingReason.BIND_IN_FLIGHT, "Binding request for ServiceBinding in-flight to Broker"),
        Purpose.UNBIND: (BindingReason.UNBIND_IN_FLIGHT, "Unbinding request for ServiceBinding in-flight to Broker"),
    }
    if sent.purpose not in words:
        return None
    reason, message = words[sent.purpose]
    draft = BindingDraft.begin(snapshot, sent, now)
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    return draft.rest()


def _succeeded(
    snapshot: BindingSnapshot,
    sent: InFlight,
    draft: BindingDraft,
    *,
    answer: Answer,
    problem: InjectionProblem | None,
) -> BindingChange:
    if snapshot.is_deleted:
        # Credentials that are revoked next are not delivered first.
        draft.end_operation()
        return draft.again(timedelta(0), attempt=0)
    credentials = credentials_of(snapshot, sent, answer)
    if credentials is None:
        return absorb_lost_credentials(draft)
    return absorb_delivery(draft, sent, credentials=credentials, problem=problem)


def _is_second_showing(snapshot: BindingSnapshot, sent: InFlight) -> bool:
    # Then "no credentials" is not to be believed: some brokers show them once, and somebody may have been shown them.
    if sent.purpose == Purpose.FETCH:
        return snapshot.in_flight is not None or snapshot.memory.fetches > 0
    return snapshot.is_in_doubt
