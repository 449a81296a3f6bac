"""What becomes of a binding for which users ask for something by annotations. Pure; `requested_actions.py` decides.

Each outcome makes the next round due at once. That a request to try again has been acted on is noted only when that
round ends, so that its call is made without delay, and a round that dies does it once more.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionStatus, ConditionType, is_true
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_remedies import (
    STARTING_MITIGATION,
    WAIVED,
    how_to_mitigate,
    what_to_do_about_leftovers,
)
from chandlery_binder.facts.binding_actions import RequestedAction, StartMitigation, TryAgain
from chandlery_binder.facts.binding_notes import tried_again
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.sealed_binding_notes import SealedNotes


def carry_out(snapshot: BindingSnapshot, action: RequestedAction, now: datetime) -> BindingResult:
    """What the action changes, and the next round at once."""
    draft = BindingDraft(snapshot, now)
    draft.sealed = snapshot.sealed
    match action:
        case TryAgain():
            _try_again(draft)
        case WaiveMitigation():
            _waive(draft)
        case AwaitMitigationDecision():
            _await_decision(draft)
        case StartMitigation():
            _start(draft)
        case _:
            assert_never(action)
    draft.remember(retry_seen=snapshot.memory.retry_seen)
    return draft.after(timedelta(0), attempt=draft.attempt)


def _try_again(draft: BindingDraft) -> None:
    draft.memory = tried_again(draft.memory)
    if not draft.is_failed or draft.is_deleted:
        return
    draft.drop(ConditionType.FAILED)
    status = draft.status
    if status.unbind_status != "Required" or status.orphan_mitigation_in_progress:
        return
    if draft.snapshot.mitigation == Mitigation.AUTOMATIC:
        _begin(draft)
    elif draft.snapshot.mitigation == Mitigation.MANUAL:
        _say(draft, BindingReason.ORPHAN_MITIGATION_REQUIRED, how_to_mitigate(draft.metadata))


def _waive(draft: BindingDraft) -> None:
    """What may be left at the broker stays there. A mitigation that is under way is not followed any more."""
    if draft.status.orphan_mitigation_in_progress:
        draft.end_poll()
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.set(orphan_mitigation_in_progress=False)
    retired = draft.memory.retired
    draft.remember(
        retired=tuple(each.model_copy(update={"is_waived": each.is_waived or each.is_leftover}) for each in retired)
    )
    draft.sealed = _without_mitigation(draft.sealed)
    draft.facts.append(RecordedFact(BindingReason.ORPHAN_MITIGATION_WAIVED, WAIVED, is_warning=True))


def _await_decision(draft: BindingDraft) -> None:
    """A user has to say what becomes of what may be left at the broker."""
    message = how_to_mitigate(draft.metadata)
    if draft.snapshot.has_leftovers:
        message = what_to_do_about_leftovers(draft.metadata)
    else:
        draft.set(orphan_mitigation_in_progress=False)
    _say(draft, BindingReason.ORPHAN_MITIGATION_REQUIRED, message)


def _start(draft: BindingDraft) -> None:
    """What may be left at the broker is unbound after all."""
    if draft.snapshot.is_waiver_revoked:
        retired = draft.memory.retired
        draft.remember(retired=tuple(each.model_copy(update={"is_waived": False}) for each in retired))
    is_asked = is_true(draft.status.conditions, ConditionType.ORPHAN_MITIGATION)
    if not is_asked or draft.status.orphan_mitigation_in_progress:
        return
    if draft.snapshot.is_ready:
        # It was about a rotation that failed; that is retired by itself.
        draft.drop(ConditionType.ORPHAN_MITIGATION)
        return
    _begin(draft)


def _begin(draft: BindingDraft) -> None:
    _say(draft, BindingReason.STARTING_ORPHAN_MITIGATION, STARTING_MITIGATION)
    draft.set(orphan_mitigation_in_progress=True)


def _say(draft: BindingDraft, reason: BindingReason, message: str) -> None:
    before = draft.status.conditions
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=reason, message=message)
    if draft.status.conditions != before:
        draft.facts.append(RecordedFact(reason, message, is_warning=True))


def _without_mitigation(sealed: SealedNotes) -> SealedNotes:
    is_mitigation = sealed.request is not None and sealed.request.purpose.traits.is_mitigation
    return replace(sealed, request=None) if is_mitigation else sealed
