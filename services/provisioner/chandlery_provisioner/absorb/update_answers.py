"""What becomes of an instance after the answer to an update. Pure."""

from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery_provisioner.absorb.call_explanations import CONCURRENCY, explained, is_out_of_date
from chandlery_provisioner.absorb.failed_updates import give_up_update, retry_update
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import note_usability
from chandlery_provisioner.absorb.operation_ends import begin_polling, updated
from chandlery_provisioner.facts.instance_notes import InFlight

_BAD_REQUEST = 400
_NOTHING_DONE = (Verdict.REJECTED, Verdict.GONE, Verdict.UNREACHABLE)


def absorb_update(draft: InstanceDraft, sent: InFlight, answer: Answer) -> InstanceChange:
    """OSB v2.17, "Updating a Service Instance": whatever goes wrong, there is no orphan to mitigate."""
    if answer.verdict == Verdict.SUCCEEDED:
        return updated(draft, answer, plan_id=sent.wanted_plan_id)
    if answer.verdict == Verdict.ACCEPTED:
        draft.remember(wanted_plan_id=sent.wanted_plan_id)
        return begin_polling(draft, answer, operation="Update")
    message = explained("update call", answer)
    if is_out_of_date(answer):
        draft.ask_for_relist()
    note_usability(draft, answer)
    is_unclear = answer.verdict not in _NOTHING_DONE
    if (draft.is_repeat or is_unclear) and draft.changes_something(sent):
        draft.remember(wanted_plan_id=sent.wanted_plan_id)
    if answer.status == _BAD_REQUEST or answer.body.get("update_repeatable") is False:
        return give_up_update(draft, InstanceReason.UPDATE_FAILED, message=message)
    if is_unclear or (draft.is_repeat and answer.error == CONCURRENCY):
        draft.keep_unclear(sent)
    is_transport = answer.verdict in (Verdict.TIMED_OUT, Verdict.UNREACHABLE)
    reason = InstanceReason.ERROR_CALLING_UPDATE if is_transport else InstanceReason.UPDATE_FAILED
    return retry_update(draft, reason, message=message, asked_seconds=answer.retry_after_seconds)
