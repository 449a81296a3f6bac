"""What becomes of an instance after the answer to a provisioning. Pure."""

from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.operation.orphan_mitigation import needs_mitigation
from chandlery_provisioner.absorb.call_explanations import CONCURRENCY, explained, is_out_of_date
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import give_up, mitigate, retry
from chandlery_provisioner.absorb.operation_ends import begin_polling, provisioned
from chandlery_provisioner.facts.instance_notes import InFlight

_BAD_REQUEST = 400
_NOTHING_DONE = (Verdict.REJECTED, Verdict.GONE, Verdict.UNREACHABLE)


def absorb_provision(draft: InstanceDraft, sent: InFlight, answer: Answer) -> InstanceChange:
    """OSB v2.17, "Provisioning" and "Orphan Mitigation"."""
    if answer.verdict in _NOTHING_DONE:
        return _not_provisioned(draft, sent, answer)
    draft.remember(plan_id=sent.wanted_plan_id)
    if answer.verdict == Verdict.SUCCEEDED:
        return provisioned(draft, answer)
    if answer.verdict == Verdict.ACCEPTED:
        return begin_polling(draft, answer, operation="Provision")
    message, asked = explained("provision call", answer), answer.retry_after_seconds
    if needs_mitigation(answer):
        is_late = answer.verdict == Verdict.TIMED_OUT
        reason = InstanceReason.ERROR_CALLING_PROVISION if is_late else InstanceReason.PROVISION_FAILED
        return mitigate(draft, reason, message=message, asked_seconds=asked)
    # A success that cannot be read is none, and nobody knows what is there.
    draft.keep_unclear(sent)
    return retry(draft, InstanceReason.PROVISION_FAILED, message=message, asked_seconds=asked)


def _not_provisioned(draft: InstanceDraft, sent: InFlight, answer: Answer) -> InstanceChange:
    message = explained("provision call", answer)
    # This request made nothing: a delete needs no call, unless something may be there from an earlier one.
    draft.set(deprovision_status="Required" if draft.may_exist else "NotRequired")
    if answer.status == _BAD_REQUEST:
        return give_up(draft, InstanceReason.PROVISION_FAILED, InstanceReason.REFUSED, message=message)
    if is_out_of_date(answer):
        draft.ask_for_relist()
    if draft.is_repeat and answer.error == CONCURRENCY:
        # It may be busy with the very request that is repeated.
        draft.keep_unclear(sent)
    is_unsent = answer.verdict == Verdict.UNREACHABLE
    reason = InstanceReason.ERROR_CALLING_PROVISION if is_unsent else InstanceReason.PROVISION_FAILED
    return retry(draft, reason, message=message, asked_seconds=answer.retry_after_seconds)
