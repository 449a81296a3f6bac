"""What becomes of an instance after its broker's answer to a request of whichever kind. Pure."""

from datetime import timedelta

from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict, call_failure
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery.reconcile.operation.polling import PollResult, result_of_poll
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.broker_metadata import adopt_plan, revise, take_descriptions
from chandlery_provisioner.absorb.instance_draft import InstanceDraft, InstanceResult
from chandlery_provisioner.absorb.instance_ends import (
    fail,
    give_up,
    keep_deprovisioning,
    mitigate,
    note_usability,
    retry,
)
from chandlery_provisioner.absorb.instance_remedies import CONCURRENCY, explained, is_out_of_date
from chandlery_provisioner.absorb.operation_ends import (
    IN_PROGRESS,
    begin_polling,
    deprovisioned,
    give_up_update,
    provisioned,
    retry_update,
    show_operation,
    updated,
)
from chandlery_provisioner.facts.instance_notes import OpenInstanceRequest

_POLLED_ON = "Polling continues until the time limit of the operation"


def absorb_poll(draft: InstanceDraft, answer: Answer) -> InstanceResult:
    """OSB v2.17, "Polling Last Operation for Service Instances": all but its three states and 410 is no answer yet.

    A platform has to poll on after such answers. A deletion may be asked for again besides, which OSB makes harmless:
    a row of them counts as a failed attempt to delete.
    """
    result = result_of_poll(answer, is_deletion=draft.is_deprovisioning, is_time_over=draft.is_poll_time_over)
    match result:
        case PollResult.SUCCEEDED:
            return _operation_succeeded(draft, answer)
        case PollResult.FAILED:
            return _operation_failed(draft, answer, why=answer.description or NO_REASON)
        case PollResult.TIMED_OUT:
            late = "the operation did not finish within the time limit of the plan or of this platform"
            return _operation_failed(draft, answer, why=late)
    return _keep_polling(draft, answer)


def _operation_succeeded(draft: InstanceDraft, answer: Answer) -> InstanceResult:
    if draft.is_deprovisioning:
        return deprovisioned(draft)
    if draft.status.current_operation == "Provision":
        return provisioned(draft, answer)
    return updated(draft, answer, plan_id="")


def _operation_failed(draft: InstanceDraft, answer: Answer, *, why: str) -> InstanceResult:
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


def _keep_polling(draft: InstanceDraft, answer: Answer) -> InstanceResult:
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
        return keep_deprovisioning(draft, message=problem, retry_after_seconds=answer.retry_after_seconds)
    draft.say_once(InstanceReason.ERROR_POLLING, problem, is_warning=True)
    shown = joined(problem, _POLLED_ON, _remedy(draft))
    show_operation(draft, InstanceReason.ERROR_POLLING, message=shown, is_update=operation == "Update")
    if draft.is_deleted and draft.is_operation_lost:
        # The broker would not be interrupted in this; it may be willing by now.
        draft.remember(delete_deferred=False, unclear=0)
    return draft.poll_after(answer.retry_after_seconds)


def _remedy(draft: InstanceDraft) -> str:
    if draft.is_deleted:
        return joined(
            instance_remedies.delete_again(draft.metadata), instance_remedies.remove_without_broker(draft.metadata)
        )
    if draft.is_deprovisioning:
        return joined(instance_remedies.delete_again(draft.metadata), instance_remedies.waive(draft.metadata))
    return instance_remedies.stop_waiting(draft.metadata)


_BAD_REQUEST = 400
_NOTHING_DONE = (Verdict.REJECTED, Verdict.GONE, Verdict.UNREACHABLE)


def absorb_provision(draft: InstanceDraft, sent: OpenInstanceRequest, answer: Answer) -> InstanceResult:
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
        return mitigate(draft, reason, message=message, retry_after_seconds=asked)
    # A success that cannot be read is none, and nobody knows what is there.
    draft.keep_unclear(sent)
    return retry(draft, InstanceReason.PROVISION_FAILED, message=message, retry_after_seconds=asked)


def _not_provisioned(draft: InstanceDraft, sent: OpenInstanceRequest, answer: Answer) -> InstanceResult:
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
    return retry(draft, reason, message=message, retry_after_seconds=answer.retry_after_seconds)


def absorb_update(draft: InstanceDraft, sent: OpenInstanceRequest, answer: Answer) -> InstanceResult:
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
    return retry_update(draft, reason, message=message, retry_after_seconds=answer.retry_after_seconds)


def absorb_deprovision(draft: InstanceDraft, answer: Answer) -> InstanceResult:
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
    return keep_deprovisioning(draft, message=message, retry_after_seconds=answer.retry_after_seconds)


def absorb_fetch(draft: InstanceDraft, answer: Answer) -> InstanceResult:
    """Adopt what the broker tells; it is asked once after each success, whatever comes of it."""
    draft.remember(is_fetch_due=False)
    if answer.verdict != Verdict.SUCCEEDED:
        message = f"{call_failure('fetch of the instance', answer)}; what is known of the instance stays as it was"
        draft.say(InstanceReason.FETCH_FAILED, message, is_warning=True)
        return draft.rest()
    take_descriptions(draft, answer)
    _take_version(draft, answer)
    is_other_plan = _take_plan(draft, answer)
    return draft.again(timedelta(0), attempt=0) if is_other_plan else draft.rest()


def _take_version(draft: InstanceDraft, answer: Answer) -> None:
    info = answer.body.get("maintenance_info")
    version = info.get("version") if isinstance(info, dict) else None
    if isinstance(version, str) and version:
        revise(draft, maintenance_version=version)


def _take_plan(draft: InstanceDraft, answer: Answer) -> bool:
    plan_id = answer.body.get("plan_id")
    if not isinstance(plan_id, str) or plan_id in ("", draft.memory.plan_id):
        return False
    message = f"The service broker has the instance on its plan {plan_id!r}, not on {draft.plan_name!r}"
    draft.say(InstanceReason.PLAN_DIFFERS, message, is_warning=True)
    adopt_plan(draft, plan_id)
    return True
