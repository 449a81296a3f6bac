"""What becomes of a binding whose call may not be made now: its service broker fails, or has a rate limit. Pure."""

from datetime import datetime

from chandlery.model.conditions import ConditionStatus
from chandlery.model.reasons import BindingReason
from chandlery.reconcile.holds import Hold
from chandlery.reconcile.status_draft import joined
from chandlery_binder.binding_draft import BindingChange, BindingDraft
from chandlery_binder.binding_snapshot import BindingSnapshot
from chandlery_binder.binding_words import how_to_forget


def put_off(snapshot: BindingSnapshot, hold: Hold, *, now: datetime) -> BindingChange:
    """Say why, and come back then. Nothing was sent, so that nothing else changes; one that is ready stays so."""
    draft = BindingDraft(snapshot, now)
    draft.keep_in_flight = snapshot.in_flight.to_wire() if snapshot.in_flight else None
    if snapshot.is_ready and not snapshot.is_deleted:
        if hold.is_shown:
            draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": hold.message}))
        return draft.settle(due_at=hold.due_at, attempt=draft.attempt, waiting_for=hold.waiting_for)
    if hold.is_shown:
        reason = BindingReason.BROKER_CIRCUIT_OPEN if hold.is_circuit else BindingReason.BROKER_RATE_LIMITED
        status = ConditionStatus.UNKNOWN if draft.is_deleted or draft.is_unbinding else ConditionStatus.FALSE
        is_stuck = draft.is_deleted and hold.is_circuit
        draft.ready(
            status, reason, message=joined(hold.message, how_to_forget(draft.metadata)) if is_stuck else hold.message
        )
        draft.set(next_attempt_time=hold.next_at)
    return draft.put_off(hold)
