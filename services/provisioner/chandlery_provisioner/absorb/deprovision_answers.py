"""What becomes of an instance after the answer to a deprovisioning, asked for by a user or to mitigate. Pure."""

from chandlery.reconcile.answers import Answer, Verdict
from chandlery_provisioner.absorb.call_explanations import CONCURRENCY, explained
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import keep_deprovisioning, note_usability
from chandlery_provisioner.absorb.operation_ends import begin_polling, deprovisioned


def absorb_deprovision(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    """OSB v2.17, "Deprovisioning": only 200 and 410 say that it is gone; whatever else comes, it is asked again."""
    if answer.verdict in (Verdict.SUCCEEDED, Verdict.GONE):
        return deprovisioned(draft)
    if answer.verdict == Verdict.ACCEPTED:
        draft.remember(delete_deferred=False)
        return begin_polling(draft, answer, operation="Deprovision")
    if draft.is_interrupting and answer.error == CONCURRENCY and not draft.is_forced:
        return draft.defer_delete()
    note_usability(draft, answer)
    message = explained("deprovision call", answer)
    return keep_deprovisioning(draft, message=message, asked_seconds=answer.retry_after_seconds)
