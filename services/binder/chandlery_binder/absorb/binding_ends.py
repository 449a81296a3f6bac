"""How an attempt on a binding ends short of success: deferred, again later, mitigation, final failure, gone. Pure."""

from datetime import datetime, timedelta

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionStatus, ConditionType
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.mitigation import Cause
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_remedies import (
    STARTING_MITIGATION,
    failed_for_good,
    how_to_forget,
    how_to_hurry,
    how_to_mitigate,
)
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED

_CLEANED_UP = "Anything it may have left at the service broker has been unbound"
_UNKNOWN_CAUSE = Cause(reason=BindingReason.BIND_FAILED, message="The bind failed")


def retry(draft: BindingDraft, reason: str, *, message: str, retry_after_seconds: float | None = None) -> BindingResult:
    """The bind is tried again with back-off, unless its time is over."""
    draft.say(reason, message, is_warning=True)
    return _try_again(
        draft, reason, message=message, attempt=draft.attempt + 1, retry_after_seconds=retry_after_seconds
    )


def _try_again(
    draft: BindingDraft, reason: str, *, message: str, attempt: int, retry_after_seconds: float | None = None
) -> BindingResult:
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    if draft.is_deleted:
        return draft.again(timedelta(0), attempt=0)
    if draft.is_time_over:
        return _too_late(draft, message)
    pause = draft.expect_attempt(attempt, retry_after_seconds)
    again = how_to_hurry(draft.metadata, draft.status.next_attempt_time)
    draft.ready(ConditionStatus.FALSE, reason, message=joined(message, again))
    return draft.after(pause, attempt=attempt)


def mitigate(draft: BindingDraft, reason: BindingReason, *, message: str) -> BindingResult:
    """Nobody knows what the broker has: unbind until it says that nothing is left, then bind again."""
    if draft.is_waived:
        draft.set(unbind_status="Required")
        draft.sealed = NOTHING_SEALED
        return retry(draft, reason, message=message)
    draft.say(reason, message, is_warning=True)
    return _start_mitigation(draft, Cause(reason=reason, message=message))


def fail_and_mitigate(
    draft: BindingDraft, ready_reason: BindingReason, failed_reason: BindingReason, *, message: str
) -> BindingResult:
    """Final, and what the broker may have has to go."""
    draft.fail(ready_reason, failed_reason, message=message)
    if draft.is_waived:
        draft.set(unbind_status="Required")
        draft.sealed = NOTHING_SEALED
        draft.end_operation()
        return draft.rest()
    return _start_mitigation(draft, Cause(reason=ready_reason, message=message))


def mitigate_or_fail(draft: BindingDraft, reason: BindingReason, *, message: str) -> BindingResult:
    """What the broker has is of no use; where it is to be left alone, no other bind with this id can succeed."""
    if draft.is_waived:
        return fail_and_mitigate(draft, reason, BindingReason.REFUSED, message=message)
    return mitigate(draft, reason, message=message)


def unbound(draft: BindingDraft) -> BindingResult:
    """The broker has confirmed that nothing is left."""
    draft.end_poll()
    draft.set(unbind_status="Succeeded", external_properties=None, orphan_mitigation_in_progress=False)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    if draft.is_deleted:
        if following := draft.turn_to_next():
            return following
        draft.end_operation()
        draft.say(BindingReason.UNBOUND, "The binding was deleted successfully")
        return draft.gone()
    draft.say(BindingReason.ORPHAN_MITIGATED, "Orphan mitigation was completed successfully")
    cause = draft.memory.cause or _UNKNOWN_CAUSE
    told = joined(cause.message, _CLEANED_UP)
    if draft.is_failed:
        shown = failed_for_good(told, draft.metadata)
        draft.ready(ConditionStatus.FALSE, cause.reason, message=shown)
        draft.end_operation()
        return draft.rest()
    return _try_again(draft, cause.reason, message=told, attempt=max(draft.memory.creation_attempts, 1))


def forced(draft: BindingDraft, *, message: str) -> BindingResult:
    """The broker has been asked once, and whatever it says, the binding goes: a user wants it so."""
    draft.end_poll()
    told = f"The binding was deleted, although its service broker did not confirm the unbind: {message}"
    draft.say(BindingReason.FORCE_DELETED, told, is_warning=True)
    return draft.turn_to_next() or draft.gone()


def _start_mitigation(draft: BindingDraft, cause: Cause) -> BindingResult:
    draft.begin_clean_up(cause.reason, cause.message)
    draft.end_poll()
    draft.sealed = NOTHING_SEALED
    draft.remember(is_fetch_due=False, fetches=0)
    draft.set(unbind_status="Required")
    is_held = draft.snapshot.mitigation == Mitigation.MANUAL and not draft.is_deleted
    reason = BindingReason.ORPHAN_MITIGATION_REQUIRED if is_held else BindingReason.STARTING_ORPHAN_MITIGATION
    message = how_to_mitigate(draft.metadata) if is_held else STARTING_MITIGATION
    draft.ready(ConditionStatus.FALSE, reason, message=joined(cause.message, message))
    # Taken away first, so that it stands last: that is what the STATUS column shows.
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=reason, message=message)
    draft.say(reason, message, is_warning=True)
    if is_held:
        return draft.rest()
    draft.set(orphan_mitigation_in_progress=True)
    return draft.again(timedelta(0), attempt=draft.attempt)


def _too_late(draft: BindingDraft, message: str) -> BindingResult:
    late = f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"
    if draft.status.unbind_status == "Required":
        return fail_and_mitigate(draft, BindingReason.RETRY_TIMEOUT, BindingReason.RETRY_TIMEOUT, message=late)
    draft.fail(BindingReason.RETRY_TIMEOUT, BindingReason.RETRY_TIMEOUT, message=late)
    draft.end_operation()
    return draft.rest()


def defer(snapshot: BindingSnapshot, deferral: Deferral, *, now: datetime) -> BindingResult:
    """Say why, and come back then. Nothing was sent, so that nothing else changes; one that is ready stays so."""
    draft = BindingDraft(snapshot, now)
    draft.sealed = snapshot.sealed
    if snapshot.is_ready and not snapshot.is_deleted:
        if deferral.is_shown:
            draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": deferral.message}))
        return draft.rest_ready(due_at=deferral.due_at, attempt=draft.attempt, waiting_for=deferral.waiting_for)
    if deferral.is_shown:
        remedy = how_to_forget(draft.metadata) if draft.is_deleted else None
        draft.show_deferral(deferral, is_going=draft.is_deleted or draft.is_unbinding, remedy=remedy)
        draft.set(next_attempt_time=deferral.next_at)
    return draft.defer(deferral)
