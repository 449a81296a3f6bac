"""How operations on an instance end: accepted, succeeded, or an update that failed and left it as it was. Pure."""

from chandlery.model.objects.conditions import ConditionStatus, ConditionType
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.broker_metadata import take_descriptions
from chandlery_provisioner.absorb.instance_draft import InstanceDraft, InstanceResult
from chandlery_provisioner.absorb.instance_ends import cause_of, cleaned_up, too_late

IN_PROGRESS = {
    "Provision": (InstanceReason.PROVISIONING, "The instance is being provisioned asynchronously"),
    "Update": (InstanceReason.UPDATING, "The instance is being updated asynchronously"),
    "Deprovision": (InstanceReason.DEPROVISIONING, "The instance is being deprovisioned asynchronously"),
}
"""Reason and message of the Ready condition, by the operation that the broker works on."""


def begin_polling(draft: InstanceDraft, answer: Answer, *, operation: str) -> InstanceResult:
    """The broker has accepted and works on it."""
    reason, message = IN_PROGRESS[operation]
    take_descriptions(draft, answer)
    show_operation(draft, reason, message=message, is_update=operation == "Update")
    draft.say(reason, message)
    draft.begin_poll(answer.operation)
    return draft.poll_after(answer.retry_after_seconds)


def show_operation(draft: InstanceDraft, reason: str, *, message: str, is_update: bool) -> None:
    """Say how far an operation is. An update takes nothing from an instance that serves."""
    if is_update:
        draft.tell_update(reason, message=message)
    else:
        draft.ready(ConditionStatus.FALSE, reason, message=message)


def provisioned(draft: InstanceDraft, answer: Answer) -> InstanceResult:
    """The broker has the instance."""
    take_descriptions(draft, answer)
    draft.succeed(InstanceReason.PROVISIONED, "The instance was provisioned successfully")
    draft.plan_fetch()
    return draft.rest()


def updated(draft: InstanceDraft, answer: Answer, *, plan_id: str) -> InstanceResult:
    """The broker has changed the instance; an empty `plan_id` stands for the plan that was noted with the request."""
    plan = plan_id or draft.memory.wanted_plan_id or draft.memory.plan_id
    draft.remember(plan_id=plan, wanted_plan_id="")
    take_descriptions(draft, answer)
    draft.succeed(InstanceReason.UPDATED, "The instance was updated successfully")
    draft.plan_fetch()
    return draft.rest()


def deprovisioned(draft: InstanceDraft) -> InstanceResult:
    """The broker has confirmed that nothing is left."""
    cause = cause_of(draft)
    draft.end_poll()
    draft.set(deprovision_status="Succeeded", provision_status="NotProvisioned", external_properties=None)
    draft.set(orphan_mitigation_in_progress=False, dashboard_url=None, broker_metadata=None)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    if draft.is_deleted:
        message = "The instance was deprovisioned successfully"
        draft.end_operation()
        draft.ready(ConditionStatus.FALSE, InstanceReason.DEPROVISIONED, message=message)
        draft.say(InstanceReason.DEPROVISIONED, message)
        return draft.gone()
    draft.say(InstanceReason.ORPHAN_MITIGATED, "Orphan mitigation was completed successfully")
    return cleaned_up(draft, cause)


def retry_update(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, retry_after_seconds: float | None = None
) -> InstanceResult:
    """The update is tried again with back-off, unless its time is over."""
    draft.say(reason, message, is_warning=True)
    if draft.is_time_over:
        return give_up_update(draft, InstanceReason.RETRY_TIMEOUT, message=too_late(message))
    attempt = draft.attempt + 1
    pause = draft.expect_attempt(attempt, retry_after_seconds)
    again = instance_remedies.tried_again(draft.metadata, draft.status.next_attempt_time)
    draft.tell_update(reason, message=joined(message, _what_it_has(draft), again))
    return draft.again(pause, attempt=attempt)


def give_up_update(draft: InstanceDraft, reason: str, *, message: str) -> InstanceResult:
    """Final for this generation; a newer specification is taken up at once."""
    draft.say(reason, message, is_warning=True)
    shown = joined(message, _what_it_has(draft), instance_remedies.correct_or_retry(draft.metadata))
    draft.drop(ConditionType.RECONCILING)
    draft.tell_of_service(reason, shown)
    draft.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=reason, message=shown)
    draft.end_operation()
    return draft.rest()


def _what_it_has(draft: InstanceDraft) -> str:
    plan = draft.plan_name
    if draft.memory.is_unusable:
        return f"The service broker reports that the instance (plan {plan!r}) cannot be used until an update succeeds"
    if draft.memory.wanted_plan_id:
        return f"The instance is recorded with its old plan {plan!r} and its old parameters, but may have changed"
    return f"The instance still runs with its old plan {plan!r} and its old parameters"
