"""What becomes of a binding whose call may not be made now: its service broker fails, or has a rate limit. Pure."""

from datetime import datetime

from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.binding_draft import BindingChange, BindingDraft
from chandlery_binder.absorb.binding_remedies import how_to_forget
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


def defer(snapshot: BindingSnapshot, hold: Deferral, *, now: datetime) -> BindingChange:
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
    return draft.defer(hold)
