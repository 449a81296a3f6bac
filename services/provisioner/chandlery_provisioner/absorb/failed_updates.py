"""How an update ends short of success: the instance goes on as it was, unless its broker says that it cannot. Pure.

OSB v2.17, "Updating a Service Instance": an update that fails has changed nothing.
"""

from chandlery.model.objects.conditions import ConditionStatus, ConditionType
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import too_late


def retry_update(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None = None
) -> InstanceChange:
    """The update is tried again with back-off, unless its time is over."""
    draft.say(reason, message, is_warning=True)
    if draft.is_time_over:
        return give_up_update(draft, InstanceReason.RETRY_TIMEOUT, message=too_late(message))
    attempt = draft.attempt + 1
    pause = draft.expect_attempt(attempt, asked_seconds)
    again = instance_remedies.tried_again(draft.metadata, draft.status.next_attempt_time)
    draft.tell_update(reason, message=joined(message, _what_it_has(draft), again))
    _wake(draft)
    return draft.again(pause, attempt=attempt)


def give_up_update(draft: InstanceDraft, reason: str, *, message: str) -> InstanceChange:
    """Final for this generation; a newer wish is taken up at once."""
    draft.say(reason, message, is_warning=True)
    shown = joined(message, _what_it_has(draft), instance_remedies.correct_or_retry(draft.metadata))
    draft.drop(ConditionType.RECONCILING)
    draft.tell_of_service(reason, shown)
    _wake(draft)
    draft.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=reason, message=shown)
    draft.end_operation()
    return draft.rest()


def _wake(draft: InstanceDraft) -> None:
    # The operation that bindings may be waiting for is over.
    if draft.serves:
        draft.wake_bindings()


def _what_it_has(draft: InstanceDraft) -> str:
    plan = draft.plan_name
    if draft.memory.is_unusable:
        return f"The service broker says that the instance (plan {plan!r}) cannot be used until an update succeeds"
    if draft.memory.wanted_plan_id:
        return f"The instance is on record with its old plan {plan!r} and its old parameters, but may have changed"
    return f"The instance still runs with its old plan {plan!r} and its old parameters"
