"""How an attempt on an instance ends short of success: deferred, again later, mitigation, final failure. Pure."""

from datetime import datetime

from chandlery.model.objects.annotations import Mitigation
from chandlery.model.objects.conditions import ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.mitigation import Cause
from chandlery.reconcile.status_draft import joined
from chandlery_provisioner.absorb import instance_remedies
from chandlery_provisioner.absorb.instance_draft import InstanceDraft, InstanceResult
from chandlery_provisioner.facts.instance_notes import OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot

_STARTING_MITIGATION = "Anything it may have left at the service broker is deleted before the next attempt"
_CLEANED_UP = "Anything it may have left at the service broker has been deleted"
_NO_MITIGATION = (
    "Anything it may have left at the service broker stays there, as the annotation of the instance asks for"
)
_OF_MITIGATION = (InstanceReason.ORPHAN_MITIGATION_REQUIRED, InstanceReason.STARTING_ORPHAN_MITIGATION)
_UNKNOWN_CAUSE = Cause(reason=InstanceReason.PROVISION_FAILED, message="The creation failed")


def retry(
    draft: InstanceDraft, reason: str, *, message: str, retry_after_seconds: float | None = None
) -> InstanceResult:
    """The operation is tried again with back-off, unless its time is over."""
    draft.say(reason, message, is_warning=True)
    return _try_again(
        draft, reason, message=message, attempt=draft.attempt + 1, retry_after_seconds=retry_after_seconds
    )


def _try_again(
    draft: InstanceDraft, reason: str, *, message: str, attempt: int, retry_after_seconds: float | None = None
) -> InstanceResult:
    if draft.is_time_over:
        return give_up(draft, InstanceReason.RETRY_TIMEOUT, InstanceReason.RETRY_TIMEOUT, message=too_late(message))
    pause = draft.expect_attempt(attempt, retry_after_seconds)
    again = instance_remedies.tried_again(draft.metadata, draft.status.next_attempt_time)
    draft.ready(ConditionStatus.FALSE, reason, message=joined(message, again))
    return draft.again(pause, attempt=attempt)


def cause_of(draft: InstanceDraft) -> Cause:
    """How the creation failed that is cleaned up after."""
    if draft.memory.cause is not None:
        return draft.memory.cause
    # A creation from before causes were kept.
    orphan = find_condition(draft.status.conditions, ConditionType.ORPHAN_MITIGATION)
    is_cause = orphan is not None and orphan.reason not in _OF_MITIGATION
    return Cause(reason=orphan.reason, message=orphan.message) if orphan and is_cause else _UNKNOWN_CAUSE


def cleaned_up(draft: InstanceDraft, cause: Cause) -> InstanceResult:
    """Nothing is left of the creation that failed. That is no success: the instance shows why it is not there."""
    message = joined(cause.message, _CLEANED_UP)
    if draft.is_failed:
        draft.ready(ConditionStatus.FALSE, cause.reason, message=rested(draft, message))
        draft.end_operation()
        return draft.rest()
    return _try_again(draft, cause.reason, message=message, attempt=max(draft.memory.creation_attempts, 1))


def too_late(message: str) -> str:
    """What to tell when the time for an operation is over; `message` is the last failure."""
    return f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"


def give_up(draft: InstanceDraft, ready_reason: str, failed_reason: str, *, message: str) -> InstanceResult:
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
    draft: InstanceDraft, reason: InstanceReason, *, message: str, retry_after_seconds: float | None = None
) -> InstanceResult:
    """Something may be left at the broker: deprovision it, at once unless the broker asks for a pause."""
    draft.set(deprovision_status="Required")
    if draft.mitigation == Mitigation.WAIVE:
        draft.say(reason, message, is_warning=True)
        return _unmitigated(
            draft, reason, message=joined(message, _NO_MITIGATION), retry_after_seconds=retry_after_seconds
        )
    draft.begin_clean_up(reason, message)
    draft.say(reason, message, is_warning=True)
    if draft.mitigation == Mitigation.MANUAL:
        draft.ready(ConditionStatus.FALSE, reason, message=message)
        return hold_mitigation(draft, message)
    starting = InstanceReason.STARTING_ORPHAN_MITIGATION
    told = joined(message, _STARTING_MITIGATION)
    draft.ready(ConditionStatus.FALSE, starting, message=told)
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=reason, message=message)
    draft.say(starting, told, is_warning=True)
    draft.set(orphan_mitigation_in_progress=True)
    draft.expect_no_attempt()
    return draft.again(draft.policy.asked_pause(retry_after_seconds), attempt=draft.attempt)


def hold_mitigation(draft: InstanceDraft, why: str) -> InstanceResult:
    """Something may be left at the broker, and a person has to say what becomes of it: until then nothing is sent."""
    message = joined(why, instance_remedies.mitigate_or_waive(draft.metadata))
    required = InstanceReason.ORPHAN_MITIGATION_REQUIRED
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason=required, message=message)
    draft.say_once(required, message, is_warning=True)
    draft.set(orphan_mitigation_in_progress=False)
    return draft.hold()


def waive_mitigation(draft: InstanceDraft) -> InstanceResult:
    """What may be left at the broker is left there, and the instance goes on; only its deletion asks for that."""
    message = (
        "Anything the failed creation may have left at the service broker stays there, as the annotation of "
        "the instance asks for"
    )
    cause = cause_of(draft)
    draft.end_poll()
    draft.set(orphan_mitigation_in_progress=False)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    draft.say(InstanceReason.ORPHAN_MITIGATION_WAIVED, message, is_warning=True)
    return _unmitigated(draft, cause.reason, message=joined(cause.message, message), retry_after_seconds=None)


def _unmitigated(
    draft: InstanceDraft, reason: str, *, message: str, retry_after_seconds: float | None
) -> InstanceResult:
    if draft.is_failed:
        draft.ready(ConditionStatus.FALSE, reason, message=rested(draft, message))
        draft.end_operation()
        return draft.rest()
    attempt = max(draft.memory.creation_attempts, draft.attempt + 1)
    return _try_again(draft, reason, message=message, attempt=attempt, retry_after_seconds=retry_after_seconds)


def rested(draft: InstanceDraft, message: str) -> str:
    """The same message for an instance whose creation has failed for good, with the remedy."""
    return joined(message, instance_remedies.correct_retry_or_delete(draft.metadata))


def keep_deprovisioning(
    draft: InstanceDraft, *, message: str, retry_after_seconds: float | None = None
) -> InstanceResult:
    """What may exist is deleted until the broker says it is gone: there is no end to it, only longer pauses."""
    if draft.is_forced:
        return let_go(draft, InstanceReason.FORCE_DELETED, message=f"The instance was deleted by force. {message}")
    remedy = instance_remedies.remove_without_broker if draft.is_deleted else instance_remedies.waive
    draft.say(InstanceReason.DEPROVISION_FAILED, message, is_warning=True)
    told = message if draft.is_deleted else joined(cause_of(draft).message, message)
    shown = joined(told, "It is retried automatically", remedy(draft.metadata))
    draft.ready(ConditionStatus.UNKNOWN, InstanceReason.DEPROVISION_FAILED, message=shown)
    return draft.retry_after(retry_after_seconds, attempt=draft.attempt + 1)


def let_go(draft: InstanceDraft, reason: str, *, message: str) -> InstanceResult:
    """The object goes because a person said so; what is left at the broker stays there."""
    draft.say(reason, message, is_warning=True)
    return draft.gone()


def note_usability(draft: InstanceDraft, answer: Answer) -> None:
    """Remember what the broker says of the instance. Silence is no news: only its word, or a success, changes that."""
    word = answer.body.get("instance_usable")
    if isinstance(word, bool):
        draft.remember(is_unusable=not word)


def defer(
    snapshot: InstanceSnapshot, unsent: OpenInstanceRequest, *, deferral: Deferral, now: datetime
) -> InstanceResult:
    """Say why, and come back then. Nothing was sent, so that nothing else changes."""
    draft = InstanceDraft(snapshot, now)
    draft.keep_open()
    if deferral.is_shown and not unsent.purpose.traits.is_fetch:
        is_going = snapshot.is_deleted or unsent.purpose.traits.is_deletion
        remedy = instance_remedies.remove_without_broker(draft.metadata) if snapshot.is_deleted else None
        if draft.serves and not is_going:
            draft.tell_update(deferral.reason, message=deferral.message)
        else:
            draft.show_deferral(deferral, is_going=is_going, remedy=remedy)
        draft.set(next_attempt_time=deferral.next_at)
    return draft.defer(deferral)
