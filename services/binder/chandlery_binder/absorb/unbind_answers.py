"""What becomes of a binding after the answer to an unbind, a mitigation, or a poll of either direction. Pure."""

from datetime import timedelta

from chandlery.model.objects.conditions import ConditionStatus
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict, call_failure
from chandlery.reconcile.operation.polling import PollResult, result_of_poll
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_ends import fail_and_mitigate, forced, unbound
from chandlery_binder.absorb.binding_remedies import (
    POLLED_ON,
    how_to_forget,
    how_to_stop_waiting,
    how_to_unbind_again,
    how_to_waive,
)

_IN_PROGRESS = {
    "Bind": (BindingReason.BINDING, "The binding is being created asynchronously"),
    "Unbind": (BindingReason.UNBINDING, "The binding is being deleted asynchronously"),
}


def absorb_unbind(draft: BindingDraft, answer: Answer) -> BindingResult:
    """OSB v2.17, "Unbinding": only 200 and 410 say that it is gone; whatever else comes, it is asked again."""
    if answer.verdict in (Verdict.SUCCEEDED, Verdict.GONE):
        return unbound(draft)
    if answer.verdict == Verdict.ACCEPTED:
        return begin_polling(draft, answer, operation="Unbind")
    message = call_failure("unbind call", answer)
    if draft.is_forced:
        return forced(draft, message=message)
    if draft.is_interrupting and answer.error == "ConcurrencyError":
        return draft.defer_unbind()
    return _keep_unbinding(
        draft, BindingReason.UNBIND_FAILED, message=message, retry_after_seconds=answer.retry_after_seconds
    )


def absorb_poll(draft: BindingDraft, answer: Answer) -> BindingResult:
    """OSB v2.17, "Polling Last Operation for Service Bindings": all but its three states and 410 is no answer yet."""
    result = result_of_poll(answer, is_deletion=draft.is_unbinding, is_time_over=draft.is_poll_time_over)
    match result:
        case PollResult.SUCCEEDED:
            return unbound(draft) if draft.is_unbinding else _bound(draft)
        case PollResult.FAILED:
            failed = BindingReason.UNBIND_FAILED if draft.is_unbinding else BindingReason.BIND_FAILED
            return _operation_failed(draft, failed, why=answer.description or NO_REASON)
        case PollResult.TIMED_OUT:
            late = "it did not finish within the time limit of the plan or of this platform"
            return _operation_failed(draft, BindingReason.ASYNC_TIMEOUT, why=late)
    return _keep_polling(draft, answer)


def begin_polling(draft: BindingDraft, answer: Answer, *, operation: str) -> BindingResult:
    """The broker has accepted and works on it. Credentials in such an answer are not for use (OSB v2.17, "Binding")."""
    reason, message = _IN_PROGRESS[operation]
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    draft.say(reason, message)
    draft.begin_poll(answer.operation)
    return draft.poll_after(answer.retry_after_seconds)


def _bound(draft: BindingDraft) -> BindingResult:
    draft.end_poll()
    draft.remember(is_fetch_due=True, fetches=0)
    return draft.again(timedelta(0), attempt=0)


def _operation_failed(draft: BindingDraft, reason: BindingReason, *, why: str) -> BindingResult:
    draft.end_poll()
    if draft.is_unbinding:
        return _keep_unbinding(draft, reason, message=f"The asynchronous unbind failed: {why}")
    return fail_and_mitigate(draft, reason, reason, message=f"The asynchronous bind failed: {why}")


def _keep_polling(draft: BindingDraft, answer: Answer) -> BindingResult:
    reason, message = _IN_PROGRESS["Unbind" if draft.is_unbinding else "Bind"]
    draft.count_poll(answer)
    if answer.verdict == Verdict.IN_PROGRESS:
        shown = f"{message} ({answer.description})" if answer.description else message
        draft.ready(ConditionStatus.FALSE, reason, message=shown)
        return draft.poll_after(answer.retry_after_seconds)
    problem = call_failure("poll of the last operation", answer)
    if draft.is_unbinding and (draft.is_forced or draft.is_operation_lost):
        draft.end_poll()
        asked = answer.retry_after_seconds
        return _keep_unbinding(draft, BindingReason.UNBIND_FAILED, message=problem, retry_after_seconds=asked)
    shown = joined(problem, POLLED_ON, _remedy(draft))
    draft.ready(ConditionStatus.FALSE, BindingReason.ERROR_POLLING, message=shown)
    draft.say_once(BindingReason.ERROR_POLLING, problem, is_warning=True)
    if draft.is_deleted and draft.is_operation_lost:
        # The broker would not be interrupted in its bind; it may be willing by now.
        draft.remember(unbind_deferred=False, unclear=0)
    return draft.poll_after(answer.retry_after_seconds)


def _remedy(draft: BindingDraft) -> str:
    if not draft.is_deleted and not draft.is_unbinding:
        return how_to_stop_waiting(draft.metadata)
    last = how_to_forget if draft.is_deleted else how_to_waive
    return joined(how_to_unbind_again(draft.metadata), last(draft.metadata))


def _keep_unbinding(
    draft: BindingDraft, reason: BindingReason, *, message: str, retry_after_seconds: float | None = None
) -> BindingResult:
    if draft.is_forced:
        return forced(draft, message=message)
    # What may exist is deleted until the broker says it is gone: there is no end to it, only longer pauses.
    is_mitigation = draft.status.orphan_mitigation_in_progress and not draft.is_deleted
    shown = BindingReason.ORPHAN_MITIGATION_FAILED if is_mitigation else reason
    remedy = how_to_forget if draft.is_deleted else how_to_waive
    cause = draft.memory.cause if is_mitigation else None
    told = joined(*([cause.message] if cause else []), message, "It is retried automatically", remedy(draft.metadata))
    draft.ready(ConditionStatus.UNKNOWN, shown, message=told)
    draft.say(shown, message, is_warning=True)
    return draft.retry_after(retry_after_seconds, attempt=draft.attempt + 1)
