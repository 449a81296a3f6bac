"""How an attempt on an instance ends short of success: again later, orphan mitigation, final failure. Pure."""

from chandlery.model.annotations import Mitigation
from chandlery.model.conditions import ConditionStatus, ConditionType
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner import ways_out
from chandlery_provisioner.instance_draft import InstanceChange, InstanceDraft

_STARTING_MITIGATION = (
    "The instance provision call failed with an ambiguous error; attempting to deprovision the instance"
)
_AGAIN = "It is tried again, and at once when the specification is corrected"
_NO_MITIGATION = "What it may have left at the service broker is left there, as its annotation asks for"


def retry(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None = None
) -> InstanceChange:
    """The operation is tried again with back-off, unless its time is over."""
    draft.say(reason, message, is_warning=True)
    draft.ready(ConditionStatus.FALSE, reason, message=joined(message, _AGAIN))
    return try_again(draft, message, attempt=draft.attempt + 1, asked_seconds=asked_seconds)


def try_again(
    draft: InstanceDraft, message: str, *, attempt: int, asked_seconds: float | None = None
) -> InstanceChange:
    """The same without a word on why: `message` is told only if the time is over."""
    if not draft.is_time_over:
        return draft.retry_after(asked_seconds, attempt=attempt)
    return give_up(draft, InstanceReason.RETRY_TIMEOUT, InstanceReason.RETRY_TIMEOUT, message=too_late(message))


def too_late(message: str) -> str:
    """What to tell when the time for an operation is over; `message` is the last failure."""
    return f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"


def give_up(draft: InstanceDraft, ready_reason: str, failed_reason: str, *, message: str) -> InstanceChange:
    """Final for this generation, and nothing is left to be done at the broker."""
    fail(draft, ready_reason, failed_reason, message=message)
    draft.end_operation()
    return draft.rest()


def fail(draft: InstanceDraft, ready_reason: str, failed_reason: str, *, message: str) -> None:
    """A creation has failed for this generation: the conditions say how to get out of that."""
    draft.say(failed_reason, message, is_warning=True)
    shown = rested(draft, message)
    draft.ready(ConditionStatus.FALSE, ready_reason, message=shown)
    draft.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=failed_reason, message=shown)


def mitigate(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None = None
) -> InstanceChange:
    """Something may be left at the broker: deprovision it, at once unless the broker asks for a pause."""
    draft.set(deprovision_status="Required")
    if draft.mitigation == Mitigation.WAIVE:
        return _unmitigated(draft, reason, message=joined(message, _NO_MITIGATION), asked_seconds=asked_seconds)
    draft.say(reason, message, is_warning=True)
    if draft.mitigation == Mitigation.MANUAL:
        draft.ready(ConditionStatus.FALSE, reason, message=message)
        return hold_mitigation(draft, message)
    draft.ready(ConditionStatus.FALSE, InstanceReason.STARTING_ORPHAN_MITIGATION, message=_STARTING_MITIGATION)
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=reason, message=message)
    draft.say(InstanceReason.STARTING_ORPHAN_MITIGATION, _STARTING_MITIGATION, is_warning=True)
    draft.set(orphan_mitigation_in_progress=True)
    draft.expect_no_attempt()
    return draft.again(draft.policy.asked_pause(asked_seconds), attempt=draft.attempt + 1)


def hold_mitigation(draft: InstanceDraft, why: str) -> InstanceChange:
    """Something may be left at the broker, and a person has to say what becomes of it: until then nothing is sent."""
    message = joined(why, ways_out.mitigate_or_waive(draft.metadata))
    required = InstanceReason.ORPHAN_MITIGATION_REQUIRED
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=required, message=message)
    draft.say(required, message, is_warning=True)
    draft.set(orphan_mitigation_in_progress=False)
    return draft.hold()


def waive_mitigation(draft: InstanceDraft) -> InstanceChange:
    """What may be left at the broker is left there, and the instance goes on; only its deletion asks for that."""
    message = "What a failed creation may have left at the service broker is left there, as somebody asked for"
    draft.end_poll()
    draft.set(orphan_mitigation_in_progress=False)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.say(InstanceReason.ORPHAN_MITIGATION_WAIVED, message, is_warning=True)
    return _unmitigated(draft, InstanceReason.ORPHAN_MITIGATION_WAIVED, message=message, asked_seconds=None)


def _unmitigated(
    draft: InstanceDraft, reason: InstanceReason, *, message: str, asked_seconds: float | None
) -> InstanceChange:
    if draft.is_failed:
        draft.ready(ConditionStatus.FALSE, reason, message=rested(draft, message))
        draft.end_operation()
        return draft.rest()
    return retry(draft, reason, message=message, asked_seconds=asked_seconds)


def rested(draft: InstanceDraft, message: str) -> str:
    """The same message for an instance whose creation has failed for good, with the way out."""
    return joined(message, ways_out.correct_retry_or_delete(draft.metadata))


def keep_deprovisioning(draft: InstanceDraft, *, message: str, asked_seconds: float | None = None) -> InstanceChange:
    """What may exist is deleted until the broker says it is gone: there is no end to it, only longer pauses."""
    if draft.is_forced:
        return let_go(draft, InstanceReason.FORCE_DELETED, message=f"The instance was deleted by force. {message}")
    way_out = ways_out.remove_without_broker if draft.is_deleted else ways_out.waive
    draft.say(InstanceReason.DEPROVISION_FAILED, message, is_warning=True)
    shown = joined(message, "It is tried again", way_out(draft.metadata))
    draft.ready(ConditionStatus.UNKNOWN, InstanceReason.DEPROVISION_FAILED, message=shown)
    return draft.retry_after(asked_seconds, attempt=draft.attempt + 1)


def let_go(draft: InstanceDraft, reason: str, *, message: str) -> InstanceChange:
    """The object goes because a person said so; what is left at the broker stays there."""
    draft.say(reason, message, is_warning=True)
    return draft.gone()


def note_usability(draft: InstanceDraft, answer: Answer) -> None:
    """Remember what the broker says of the instance. Silence is no news: only its word, or a success, changes that."""
    word = answer.body.get("instance_usable")
    if isinstance(word, bool):
        draft.remember(is_unusable=not word)
