"""What becomes of an instance after the answer to a poll of its last operation, whichever that is. Pure."""

from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict
from chandlery.reconcile.call_failure import call_failure
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.failed_updates import give_up_update
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import fail, keep_deprovisioning, mitigate, note_usability
from chandlery_provisioner.absorb.operation_ends import IN_PROGRESS, deprovisioned, provisioned, show_operation, updated

_POLLED_ON = "The operation is polled on until its time is over"


def absorb_poll(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    """OSB v2.17, "Polling Last Operation for Service Instances": all but its three states and 410 is no answer yet.

    A platform has to poll on after such answers. A deletion may be asked for again besides, which OSB makes harmless:
    a row of them counts as a failed attempt to delete.
    """
    if answer.verdict == Verdict.SUCCEEDED or (draft.is_deprovisioning and answer.verdict == Verdict.GONE):
        return _operation_succeeded(draft, answer)
    if answer.verdict == Verdict.OPERATION_FAILED:
        return _operation_failed(draft, answer, why=answer.description or NO_REASON)
    if draft.is_poll_time_over:
        late = "the operation did not end in the time that the broker's plan or this platform allows"
        return _operation_failed(draft, answer, why=late)
    return _keep_polling(draft, answer)


def _operation_succeeded(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    if draft.is_deprovisioning:
        return deprovisioned(draft)
    if draft.status.current_operation == "Provision":
        return provisioned(draft, answer)
    return updated(draft, answer, plan_id="")


def _operation_failed(draft: InstanceDraft, answer: Answer, *, why: str) -> InstanceChange:
    operation = "Deprovision" if draft.is_deprovisioning else draft.status.current_operation or "Operation"
    message = f"The {operation.lower()} failed: {why}"
    draft.end_poll()
    note_usability(draft, answer)
    if draft.is_deprovisioning:
        return keep_deprovisioning(draft, message=message)
    if operation == "Update":
        if answer.verdict == Verdict.OPERATION_FAILED:
            # Then nothing was applied; of one that is only late nobody knows.
            draft.remember(wanted_plan_id="")
        return give_up_update(draft, InstanceReason.UPDATE_FAILED, message=message)
    fail(draft, InstanceReason.PROVISION_FAILED, InstanceReason.PROVISION_FAILED, message=message)
    return mitigate(draft, InstanceReason.PROVISION_FAILED, message=message)


def _keep_polling(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    operation = "Deprovision" if draft.is_deprovisioning else draft.status.current_operation or "Provision"
    reason, message = IN_PROGRESS[operation]
    draft.count_poll(answer)
    if answer.verdict == Verdict.IN_PROGRESS:
        shown = f"{message} ({answer.description})" if answer.description else message
        show_operation(draft, reason, message=shown, is_update=operation == "Update")
        return draft.poll_after(answer.retry_after_seconds)
    problem = call_failure("poll of the last operation", answer)
    if draft.is_deprovisioning and (draft.is_forced or draft.is_operation_lost):
        draft.end_poll()
        return keep_deprovisioning(draft, message=problem, asked_seconds=answer.retry_after_seconds)
    draft.say(InstanceReason.ERROR_POLLING, problem, is_warning=True)
    shown = joined(problem, _POLLED_ON, _way_out(draft))
    show_operation(draft, InstanceReason.ERROR_POLLING, message=shown, is_update=operation == "Update")
    if draft.is_deleted and draft.is_operation_lost:
        # The broker would not be interrupted in this; it may be willing by now.
        draft.remember(delete_deferred=False, unclear=0)
    return draft.poll_after(answer.retry_after_seconds)


def _way_out(draft: InstanceDraft) -> str:
    if draft.is_deleted:
        return joined(
            instance_remedies.delete_again(draft.metadata), instance_remedies.remove_without_broker(draft.metadata)
        )
    if draft.is_deprovisioning:
        return joined(instance_remedies.delete_again(draft.metadata), instance_remedies.waive(draft.metadata))
    return instance_remedies.stop_waiting(draft.metadata)
