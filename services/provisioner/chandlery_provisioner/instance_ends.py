"""How an attempt on an instance ends short of success: again later, orphan mitigation, final failure. Pure."""

from chandlery.model.conditions import ConditionStatus, ConditionType
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.answers import Answer
from chandlery_provisioner.instance_draft import InstanceChange, InstanceDraft

_STARTING_MITIGATION = (
    "The instance provision call failed with an ambiguous error; attempting to deprovision the instance"
)


def retry(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None = None
) -> InstanceChange:
    """The operation is tried again with back-off, unless its time is over."""
    draft.ready(ConditionStatus.FALSE, reason, message=message)
    draft.say(reason, message, is_warning=True)
    return try_again(draft, message, attempt=draft.attempt + 1, asked_seconds=asked_seconds)


def try_again(
    draft: InstanceDraft, message: str, *, attempt: int, asked_seconds: float | None = None
) -> InstanceChange:
    """The same without a word on why: `message` is told only if the time is over."""
    if not draft.is_time_over:
        return draft.retry_after(asked_seconds, attempt=attempt)
    late = f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"
    return give_up(draft, InstanceReason.RETRY_TIMEOUT, InstanceReason.RETRY_TIMEOUT, message=late)


def give_up(draft: InstanceDraft, ready_reason: str, failed_reason: str, *, message: str) -> InstanceChange:
    """Final for this generation, and nothing is left to be done at the broker."""
    draft.fail(ready_reason, failed_reason, message=message)
    draft.end_operation()
    return draft.rest()


def mitigate(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None = None
) -> InstanceChange:
    """Something may be left at the broker: deprovision it, at once unless the broker asks for a pause."""
    draft.ready(ConditionStatus.FALSE, InstanceReason.STARTING_ORPHAN_MITIGATION, message=_STARTING_MITIGATION)
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=reason, message=message)
    draft.say(reason, message, is_warning=True)
    draft.say(InstanceReason.STARTING_ORPHAN_MITIGATION, _STARTING_MITIGATION, is_warning=True)
    draft.set(orphan_mitigation_in_progress=True, deprovision_status="Required")
    return draft.again(draft.policy.asked_pause(asked_seconds), attempt=draft.attempt + 1)


def keep_deprovisioning(draft: InstanceDraft, *, message: str, asked_seconds: float | None = None) -> InstanceChange:
    """What may exist is deleted until the broker says it is gone: there is no end to it, only longer pauses."""
    draft.ready(ConditionStatus.UNKNOWN, InstanceReason.DEPROVISION_FAILED, message=message)
    draft.say(InstanceReason.DEPROVISION_FAILED, message, is_warning=True)
    return draft.retry_after(asked_seconds, attempt=draft.attempt + 1)


def note_usability(draft: InstanceDraft, answer: Answer) -> None:
    """Remember what the broker says of the instance. Silence is no news: only its word, or a success, changes that."""
    word = answer.body.get("instance_usable")
    if isinstance(word, bool):
        draft.remember(is_unusable=not word)
