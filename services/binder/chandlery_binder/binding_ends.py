"""How an attempt on a binding ends short of success: again later, orphan mitigation, final failure, gone. Pure."""

from datetime import timedelta

from chandlery.model.conditions import ConditionStatus
from chandlery.model.reasons import BindingReason
from chandlery_binder.binding_draft import BindingChange, BindingDraft

_STARTING_MITIGATION = "The broker may have a binding that nobody can use; it is being unbound"


def retry(
    draft: BindingDraft, reason: BindingReason, *, message: str, asked_seconds: float | None = None
) -> BindingChange:
    """The bind is tried again with back-off, unless its time is over."""
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    draft.say(reason, message, is_warning=True)
    return _again(draft, message, attempt=draft.attempt + 1, asked_seconds=asked_seconds)


def mitigate(draft: BindingDraft, reason: BindingReason, *, message: str) -> BindingChange:
    """Nobody knows what the broker has: unbind until it says that nothing is left, then bind again."""
    draft.say(reason, message, is_warning=True)
    return _start_mitigation(draft)


def fail_and_mitigate(
    draft: BindingDraft, ready_reason: BindingReason, failed_reason: BindingReason, *, message: str
) -> BindingChange:
    """Final, and what the broker may have has to go."""
    draft.fail(ready_reason, failed_reason, message=message)
    return _start_mitigation(draft)


def unbound(draft: BindingDraft) -> BindingChange:
    """The broker has confirmed that nothing is left."""
    draft.end_poll()
    draft.set(unbind_status="Succeeded", external_properties=None, orphan_mitigation_in_progress=False)
    if draft.is_deleted:
        draft.end_operation()
        draft.say(BindingReason.UNBOUND, "The binding was deleted successfully")
        return draft.gone()
    message = "Orphan mitigation was completed successfully"
    draft.ready(ConditionStatus.FALSE, BindingReason.ORPHAN_MITIGATED, message=message)
    draft.say(BindingReason.ORPHAN_MITIGATED, message)
    if draft.is_failed:
        draft.end_operation()
        return draft.rest()
    # The failure that led here was counted when the mitigation began.
    return _again(draft, message, attempt=max(draft.attempt, 1))


def _start_mitigation(draft: BindingDraft) -> BindingChange:
    draft.end_poll()
    draft.keep_in_flight = None
    draft.remember(is_fetch_due=False, fetches=0)
    draft.ready(ConditionStatus.FALSE, BindingReason.STARTING_ORPHAN_MITIGATION, message=_STARTING_MITIGATION)
    draft.say(BindingReason.STARTING_ORPHAN_MITIGATION, _STARTING_MITIGATION, is_warning=True)
    draft.set(orphan_mitigation_in_progress=True, unbind_status="Required")
    return draft.again(timedelta(0), attempt=draft.attempt + 1)


def _again(draft: BindingDraft, message: str, *, attempt: int, asked_seconds: float | None = None) -> BindingChange:
    if draft.is_deleted:
        return draft.again(timedelta(0), attempt=0)
    if not draft.is_time_over:
        return draft.retry_after(asked_seconds, attempt=attempt)
    late = f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"
    if draft.status.unbind_status == "Required":
        return fail_and_mitigate(draft, BindingReason.RETRY_TIMEOUT, BindingReason.RETRY_TIMEOUT, message=late)
    draft.fail(BindingReason.RETRY_TIMEOUT, BindingReason.RETRY_TIMEOUT, message=late)
    draft.end_operation()
    return draft.rest()
