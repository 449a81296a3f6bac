"""A binding whose external id belongs to another at its service broker: nothing is asked of the broker. Pure.

New ones are refused when they are created. This is for those that found their broker later than another binding, and
for those from before ids were claimed: what the broker has under the id was never theirs to change or revoke.
"""

from datetime import datetime

from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.reconcile_result import Disown, Finish, Idle, Wait
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_remedies import take_another_id
from chandlery_binder.facts.binding_actions import Action
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


def without_id(snapshot: BindingSnapshot, ejected: Wait | None) -> Action:
    """What is to be done with it. `ejected` says why its Secret, which goes first, could not be deleted, if so."""
    if snapshot.is_deleted:
        return ejected or Finish()
    failed = find_condition(snapshot.binding.status.conditions, ConditionType.FAILED)
    is_told = failed is not None and failed.reason == BindingReason.EXTERNAL_ID_IN_USE
    return Idle() if is_told and not snapshot.is_retry_requested else Disown()


def disown(snapshot: BindingSnapshot, now: datetime) -> BindingResult:
    """Nothing at the broker is this binding's, whatever its status said until now. Its Secret stays as it is."""
    draft, reason = BindingDraft(snapshot, now), BindingReason.EXTERNAL_ID_IN_USE
    message = (
        f'The external id "{snapshot.binding.spec.external_id}" belongs to another binding of the same '
        "service broker, so the broker is not called for this one"
    )
    draft.end_operation()
    draft.set(unbind_status="NotRequired", orphan_mitigation_in_progress=False)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.say_once(reason, message, is_warning=True)
    shown = joined(message, take_another_id(snapshot.binding.metadata))
    draft.ready(ConditionStatus.FALSE, reason, message=shown)
    draft.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=reason, message=shown)
    return draft.rest()
