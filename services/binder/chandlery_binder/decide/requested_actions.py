"""What users ask for by annotations, as the next action of a binding: part of its machine. Pure.

One action at a time: each is carried out in a round of its own (`requested_outcomes.py`), which makes the next one due
at once, until nothing is left of what is asked for. Abandoning and forced deletion are decided in `binding_machine.py`.
"""

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionType, find_condition, is_true
from chandlery.model.objects.reasons import BindingReason
from chandlery.model.text.clean_text import clean_message
from chandlery.reconcile.operation.mitigation import AwaitMitigationDecision, WaiveMitigation
from chandlery_binder.absorb.binding_remedies import what_to_do_about_leftovers
from chandlery_binder.facts.binding_actions import RequestedAction, StartMitigation, TryAgain
from chandlery_binder.facts.binding_notes import tried_again
from chandlery_binder.facts.binding_snapshot import BindingSnapshot


def requested_action(snapshot: BindingSnapshot) -> RequestedAction | None:
    """The next thing that is asked for and not done yet; None if there is none."""
    if snapshot.is_retry_requested and _is_held_up(snapshot):
        return TryAgain()
    if snapshot.is_deleted:
        # What may exist is unbound whatever was said about it before.
        return None
    match snapshot.mitigation:
        case Mitigation.WAIVE:
            return WaiveMitigation() if _is_anything_mitigated(snapshot) else None
        case Mitigation.MANUAL:
            return AwaitMitigationDecision() if _is_question_due(snapshot) else None
        case Mitigation.AUTOMATIC:
            return StartMitigation() if _is_anything_waiting(snapshot) else None


def _is_held_up(snapshot: BindingSnapshot) -> bool:
    """Whether what has failed before keeps anything from being tried."""
    is_over = snapshot.is_failed and not snapshot.is_deleted
    return is_over or tried_again(snapshot.memory) != snapshot.memory


def _is_anything_mitigated(snapshot: BindingSnapshot) -> bool:
    status = snapshot.binding.status
    is_asked = is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)
    return is_asked or status.orphan_mitigation_in_progress or snapshot.has_leftovers


def _is_question_due(snapshot: BindingSnapshot) -> bool:
    status = snapshot.binding.status
    if snapshot.has_leftovers:
        asked = find_condition(status.conditions, ConditionType.ORPHAN_MITIGATION)
        question = clean_message(what_to_do_about_leftovers(snapshot.binding.metadata))
        required = BindingReason.ORPHAN_MITIGATION_REQUIRED
        return asked is None or (asked.reason, asked.message) != (required, question)
    # What is under way already comes to its end.
    return status.orphan_mitigation_in_progress and not status.async_op_in_progress and not snapshot.has_open_end


def _is_anything_waiting(snapshot: BindingSnapshot) -> bool:
    status = snapshot.binding.status
    if snapshot.is_waiver_revoked:
        return True
    is_asked = is_true(status.conditions, ConditionType.ORPHAN_MITIGATION)
    return is_asked and not status.orphan_mitigation_in_progress
