"""What users order by annotations, carried out on the snapshot before anything is decided. Pure.

That an order to try again was obeyed is noted when the round ends (`BindingDraft`), so that a round that dies obeys it
once more. Abandoning and forced deletion are decisions, and belong to `binding_machine.py`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import (
    ConditionStatus,
    ConditionType,
    find_condition,
    is_true,
    with_condition,
    without_condition,
)
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.reasons import BindingReason
from chandlery_binder.absorb.binding_remedies import LEFTOVER, STARTING_MITIGATION, WAIVED, how_to_mitigate
from chandlery_binder.facts.binding_notes import BindingMemory
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Retired
from chandlery_binder.facts.sealed_binding_notes import SealedNotes


def apply_requested_actions(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    """The snapshot as users want it: what failed counts no more once they ask for it, nor what they waive."""
    if snapshot.is_retry_requested:
        snapshot = _tried_again(snapshot, now)
    if snapshot.is_deleted:
        # What may exist is unbound whatever was ordered about it before.
        return snapshot
    match snapshot.mitigation:
        case Mitigation.WAIVE:
            return _waived(snapshot)
        case Mitigation.MANUAL:
            return _held(snapshot, now)
        case Mitigation.AUTOMATIC:
            return _begun(snapshot, now)


def _tried_again(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    status, memory = snapshot.binding.status, snapshot.memory
    start = now if status.operation_start_time else None
    snapshot = _with_status(replace(snapshot, attempt=0), operation_start_time=start)
    rotation = memory.rotation.model_copy(update={"is_refused": False, "attempts": 0, "next_at": 0.0})
    retired = tuple(each.model_copy(update={"next_at": 0.0}) if each.attempts else each for each in memory.retired)
    memory = _with_background_operation_hurried(
        memory.model_copy(update={"rotation": rotation, "retired": retired, "creation_attempts": 0})
    )
    snapshot = replace(snapshot, memory=memory)
    if not snapshot.is_failed or snapshot.is_deleted:
        return snapshot
    snapshot = _with_status(snapshot, conditions=without_condition(status.conditions, ConditionType.FAILED))
    may_be_left = status.unbind_status == "Required" and not status.orphan_mitigation_in_progress
    if not may_be_left or snapshot.mitigation == Mitigation.WAIVE:
        return snapshot
    return _started(snapshot, now) if snapshot.mitigation == Mitigation.AUTOMATIC else _in_question(snapshot, now)


def _with_background_operation_hurried(memory: BindingMemory) -> BindingMemory:
    """A revocation is asked for again. So is a rotation, if its broker does not say what has become of it."""
    background, retired = memory.background_operation, memory.retired
    if background is None:
        return memory
    is_revocation = background.kind == BackgroundOperationKind.RETIRE
    if not is_revocation and not background.unclear:
        return memory.model_copy(update={"background_operation": background.model_copy(update={"next_at": 0.0})})
    if is_revocation:
        # The earliest goes first.
        retired = tuple(each.model_copy(update={"next_at": 0.0}) if _is(each, background) else each for each in retired)
    else:
        retired = (*retired, Retired(placement=background.placement, is_leftover=True))
    return memory.model_copy(update={"background_operation": None, "retired": retired})


def _is(retired: Retired, background: BackgroundOperation) -> bool:
    return retired.placement.binding_id == background.placement.binding_id


def _in_question(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    return _with_condition(
        snapshot, BindingReason.ORPHAN_MITIGATION_REQUIRED, how_to_mitigate(snapshot.binding.metadata), now
    )


def _waived(snapshot: BindingSnapshot) -> BindingSnapshot:
    status, memory = snapshot.binding.status, snapshot.memory
    retired = tuple(
        each.model_copy(update={"is_waived": True}) if each.is_leftover else each for each in memory.retired
    )
    is_asked = is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)
    if not is_asked and not status.orphan_mitigation_in_progress and retired == memory.retired:
        return snapshot
    fields: dict[str, Any] = {
        "conditions": without_condition(status.conditions, ConditionType.ORPHAN_MITIGATION),
        "orphan_mitigation_in_progress": False,
    }
    notes: dict[str, Any] = {"retired": retired}
    if status.orphan_mitigation_in_progress:
        fields |= {"async_op_in_progress": False, "last_operation": None}
        notes |= {"polls": 0, "poll_until": None}
    snapshot = _with_status(snapshot, **fields)
    snapshot = replace(snapshot, memory=memory.model_copy(update=notes), sealed=_without_mitigation(snapshot.sealed))
    return _told(snapshot, BindingReason.ORPHAN_MITIGATION_WAIVED, WAIVED)


def _held(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    status = snapshot.binding.status
    if any(each.is_leftover and not each.is_waived for each in snapshot.memory.retired):
        message = f"{LEFTOVER}. {how_to_mitigate(snapshot.binding.metadata)}"
        return _with_condition(snapshot, BindingReason.ORPHAN_MITIGATION_REQUIRED, message, now)
    if not status.orphan_mitigation_in_progress or status.async_op_in_progress or snapshot.has_open_end:
        # What is under way already comes to its end.
        return snapshot
    snapshot = _with_status(snapshot, orphan_mitigation_in_progress=False)
    return _in_question(snapshot, now)


def _begun(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    status, memory = snapshot.binding.status, snapshot.memory
    if snapshot.requested_actions.mitigation is not None and any(each.is_waived for each in memory.retired):
        # What was waived before is wanted gone after all.
        retired = tuple(each.model_copy(update={"is_waived": False}) for each in memory.retired)
        snapshot = replace(snapshot, memory=memory.model_copy(update={"retired": retired}))
    if not is_true(status.conditions, ConditionType.ORPHAN_MITIGATION) or status.orphan_mitigation_in_progress:
        return snapshot
    if snapshot.is_ready:
        # It was about a rotation that failed; that is retired by itself.
        conditions = without_condition(status.conditions, ConditionType.ORPHAN_MITIGATION)
        return _with_status(snapshot, conditions=conditions)
    return _started(snapshot, now)


def _started(snapshot: BindingSnapshot, now: datetime) -> BindingSnapshot:
    snapshot = _with_condition(snapshot, BindingReason.STARTING_ORPHAN_MITIGATION, STARTING_MITIGATION, now)
    return _with_status(snapshot, orphan_mitigation_in_progress=True)


def _with_condition(snapshot: BindingSnapshot, reason: BindingReason, message: str, now: datetime) -> BindingSnapshot:
    conditions, kind = snapshot.binding.status.conditions, ConditionType.ORPHAN_MITIGATION
    before = find_condition(conditions, kind)
    if before is not None and (before.reason, before.message) == (reason, message):
        return snapshot
    after = with_condition(conditions, kind, status=ConditionStatus.TRUE, reason=reason, message=message, now=now)
    return _told(_with_status(snapshot, conditions=after), reason, message)


def _without_mitigation(sealed: SealedNotes) -> SealedNotes:
    is_mitigation = sealed.request is not None and sealed.request.purpose.traits.is_mitigation
    return replace(sealed, request=None) if is_mitigation else sealed


def _told(snapshot: BindingSnapshot, reason: BindingReason, message: str) -> BindingSnapshot:
    return replace(snapshot, news=(*snapshot.news, RecordedFact(reason, message, is_warning=True)))


def _with_status(snapshot: BindingSnapshot, **fields: Any) -> BindingSnapshot:
    status = snapshot.binding.status.model_copy(update=fields)
    return replace(snapshot, binding=snapshot.binding.model_copy(update={"status": status}))
