"""What an instance is like once its broker has accepted an operation, or brought it to a good end. Pure.

The answers to requests and to polls lead here alike.
"""

from chandlery.model.objects.conditions import ConditionStatus, ConditionType
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer
from chandlery_provisioner.absorb.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.absorb.instance_ends import cause_of, cleaned_up

IN_PROGRESS = {
    "Provision": (InstanceReason.PROVISIONING, "The instance is being provisioned asynchronously"),
    "Update": (InstanceReason.UPDATING, "The instance is being updated asynchronously"),
    "Deprovision": (InstanceReason.DEPROVISIONING, "The instance is being deprovisioned asynchronously"),
}
"""Reason and message of the Ready condition, by the operation that the broker works on."""


def begin_polling(draft: InstanceDraft, answer: Answer, *, operation: str) -> InstanceChange:
    """The broker has accepted and works on it."""
    reason, message = IN_PROGRESS[operation]
    draft.take_descriptions(answer)
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


def provisioned(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    """The broker has the instance."""
    draft.take_descriptions(answer)
    draft.succeed(InstanceReason.PROVISIONED, "The instance was provisioned successfully")
    draft.plan_fetch()
    return draft.rest()


def updated(draft: InstanceDraft, answer: Answer, *, plan_id: str) -> InstanceChange:
    """The broker has changed the instance; an empty `plan_id` stands for the plan that was noted with the request."""
    plan = plan_id or draft.memory.wanted_plan_id or draft.memory.plan_id
    draft.remember(plan_id=plan, wanted_plan_id="")
    draft.take_descriptions(answer)
    draft.succeed(InstanceReason.UPDATED, "The instance was updated successfully")
    draft.plan_fetch()
    return draft.rest()


def deprovisioned(draft: InstanceDraft) -> InstanceChange:
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
