"""What becomes of an instance whose call may not be made now: its service broker fails, or has a rate limit. Pure."""

from datetime import datetime

from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.facts.instance_notes import InFlight, Purpose
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot

_DELETIONS = (Purpose.DEPROVISION, Purpose.MITIGATE)


def defer(snapshot: InstanceSnapshot, unsent: InFlight, *, hold: Deferral, now: datetime) -> InstanceChange:
    """Say why, and come back then. Nothing was sent, so that nothing else changes."""
    draft = InstanceDraft(snapshot, now)
    draft.keep_open()
    if hold.is_shown and unsent.purpose != Purpose.FETCH:
        reason = InstanceReason.BROKER_CIRCUIT_OPEN if hold.is_circuit else InstanceReason.BROKER_RATE_LIMITED
        is_going = snapshot.is_deleted or unsent.purpose in _DELETIONS
        if draft.serves and not is_going:
            draft.tell_update(reason, message=hold.message)
        else:
            status = ConditionStatus.UNKNOWN if is_going else ConditionStatus.FALSE
            draft.ready(status, reason, message=_with_way_out(snapshot, hold))
        draft.set(next_attempt_time=hold.next_at)
    return draft.defer(hold)


def _with_way_out(snapshot: InstanceSnapshot, hold: Deferral) -> str:
    if not (snapshot.is_deleted and hold.is_circuit):
        return hold.message
    return joined(hold.message, instance_remedies.remove_without_broker(snapshot.instance.metadata))
