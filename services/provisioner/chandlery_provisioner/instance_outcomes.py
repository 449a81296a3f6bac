"""The state machine of a service instance, second half: snapshot and the broker's answer -> change. Pure.

The rules are those of the OSB table of orphan mitigation and of the reference's conditions; a 400 to a provision or an
update is final for this generation, everything else is tried again by schedule until the operation's time is up.
"""

from datetime import datetime, timedelta

from chandlery.model.conditions import ConditionStatus, ConditionType, is_true
from chandlery.model.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.orphan_mitigation import needs_mitigation
from chandlery.retry.schedule import BROKER_CALLS, POLLS
from chandlery_provisioner.instance_draft import InstanceChange, InstanceDraft
from chandlery_provisioner.instance_snapshot import InFlight, InstanceSnapshot, Purpose, Refuse, Wait

BAD_REQUEST = 400
_DONE = (Verdict.SUCCEEDED, Verdict.GONE)
_NOTHING_DONE = (Verdict.REJECTED, Verdict.GONE, Verdict.UNREACHABLE)
_STARTING_MITIGATION = (
    "The instance provision call failed with an ambiguous error; attempting to deprovision the instance"
)


def absorb(snapshot: InstanceSnapshot, sent: InFlight, answer: Answer, now: datetime) -> InstanceChange:
    """What the answer to `sent` changes."""
    draft = InstanceDraft.begin(snapshot, sent, now)
    if answer.verdict == Verdict.UNREACHABLE:
        draft.keep_open()
    match sent.purpose:
        case Purpose.PROVISION:
            return _absorb_provision(draft, sent, answer)
        case Purpose.UPDATE:
            return _absorb_update(draft, sent, answer)
        case Purpose.DEPROVISION | Purpose.MITIGATE:
            return _absorb_deprovision(draft, answer)
        case Purpose.POLL:
            return _absorb_poll(draft, answer)


def wait(snapshot: InstanceSnapshot, action: Wait, now: datetime) -> InstanceChange:
    """Say what is missing, and come back when it is there, or after a while."""
    draft = InstanceDraft.of(snapshot, now)
    deleting = snapshot.instance.metadata.deletion_timestamp is not None
    unknown = deleting and action.reason != InstanceReason.BLOCKED_BY_BINDINGS
    draft.ready(ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE, action.reason, action.message)
    draft.say(action.reason, action.message, is_warning=True)
    return draft.wait(action.waiting_for)


def refuse(snapshot: InstanceSnapshot, action: Refuse, now: datetime) -> InstanceChange:
    """A wish that cannot be granted fails for this generation."""
    draft = InstanceDraft.of(snapshot, now)
    draft.fail(action.reason, action.reason, action.message)
    draft.observe(snapshot.instance.metadata.generation or 1)
    draft.end_operation()
    return draft.rest()


def finish(snapshot: InstanceSnapshot, now: datetime) -> InstanceChange:
    """Nothing is left at the broker: let the object go."""
    return InstanceDraft.of(snapshot, now).gone()


def idle(snapshot: InstanceSnapshot, now: datetime) -> InstanceChange:
    """Nothing to do."""
    return InstanceDraft.of(snapshot, now).rest()


def announce(snapshot: InstanceSnapshot, sent: InFlight, now: datetime) -> InstanceChange:
    """The status while a call takes its time."""
    draft = InstanceDraft.begin(snapshot, sent, now)
    words = {
        Purpose.PROVISION: (
            InstanceReason.PROVISION_IN_FLIGHT,
            "Provision request for ServiceInstance in-flight to Broker",
        ),
        Purpose.UPDATE: (InstanceReason.UPDATE_IN_FLIGHT, "Update request for ServiceInstance in-flight to Broker"),
        Purpose.DEPROVISION: (
            InstanceReason.DEPROVISION_IN_FLIGHT,
            "Deprovision request for ServiceInstance in-flight to Broker",
        ),
    }
    if sent.purpose in words:
        draft.ready(ConditionStatus.FALSE, *words[sent.purpose])
    return draft.rest()


def _absorb_provision(draft: InstanceDraft, sent: InFlight, answer: Answer) -> InstanceChange:
    if answer.verdict in _NOTHING_DONE:
        return _not_provisioned(draft, answer)
    draft.remember(plan_id=sent.wanted_plan_id)
    if answer.verdict == Verdict.SUCCEEDED:
        return _provisioned(draft, answer)
    if answer.verdict == Verdict.ACCEPTED:
        return _polling(draft, answer, InstanceReason.PROVISIONING, "The instance is being provisioned asynchronously")
    if needs_mitigation(answer):
        reason = InstanceReason.ERROR_CALLING_PROVISION if answer.verdict == Verdict.TIMED_OUT else None
        return _mitigate(draft, reason or InstanceReason.PROVISION_FAILED, _failure("provision call", answer))
    return _retry(draft, InstanceReason.PROVISION_FAILED, _failure("provision call", answer))


def _not_provisioned(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    message = _failure("provision call", answer)
    # This request made nothing: a delete needs no call, unless something may be there from an earlier one.
    draft.set(deprovision_status="Required" if draft.may_exist else "NotRequired")
    if answer.verdict == Verdict.UNREACHABLE:
        return _retry(draft, InstanceReason.ERROR_CALLING_PROVISION, message)
    if answer.status == BAD_REQUEST:
        draft.fail(InstanceReason.PROVISION_FAILED, InstanceReason.REFUSED, message)
        draft.end_operation()
        return draft.rest()
    return _retry(draft, InstanceReason.PROVISION_FAILED, message)


def _absorb_update(draft: InstanceDraft, sent: InFlight, answer: Answer) -> InstanceChange:
    if answer.verdict == Verdict.SUCCEEDED:
        return _updated(draft, sent.wanted_plan_id, answer)
    if answer.verdict == Verdict.ACCEPTED:
        draft.remember(wanted_plan_id=sent.wanted_plan_id)
        return _polling(draft, answer, InstanceReason.UPDATING, "The instance is being updated asynchronously")
    message = _failure("update call", answer)
    _note_usability(draft, answer)
    if (draft.is_repeat or answer.verdict not in _NOTHING_DONE) and draft.changes_something(sent):
        draft.remember(wanted_plan_id=sent.wanted_plan_id)
    if answer.status == BAD_REQUEST or _says_no(answer, "update_repeatable"):
        draft.fail(InstanceReason.UPDATE_FAILED, InstanceReason.UPDATE_FAILED, message)
        draft.end_operation()
        return draft.rest()
    transport = answer.verdict in (Verdict.TIMED_OUT, Verdict.UNREACHABLE)
    return _retry(draft, InstanceReason.ERROR_CALLING_UPDATE if transport else InstanceReason.UPDATE_FAILED, message)


def _absorb_deprovision(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    if answer.verdict in _DONE:
        return _deprovisioned(draft)
    if answer.verdict == Verdict.ACCEPTED:
        draft.remember(delete_deferred=False)
        return _polling(
            draft, answer, InstanceReason.DEPROVISIONING, "The instance is being deprovisioned asynchronously"
        )
    message = _failure("deprovision call", answer)
    if draft.is_interrupting and answer.error == "ConcurrencyError":
        draft.undo()
        draft.remember(delete_deferred=True)
        return draft.again(POLLS.delay(1), attempt=draft.attempt)
    draft.ready(ConditionStatus.UNKNOWN, InstanceReason.DEPROVISION_FAILED, message)
    draft.say(InstanceReason.DEPROVISION_FAILED, message, is_warning=True)
    _note_usability(draft, answer)
    # What may exist is deleted until the broker says it is gone: there is no end to it, only longer pauses.
    return draft.again(BROKER_CALLS.delay(draft.attempt + 1), attempt=draft.attempt + 1)


def _absorb_poll(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    operation = draft.operation
    deleting = operation == "Deprovision" or draft.status.orphan_mitigation_in_progress
    if answer.verdict == Verdict.SUCCEEDED or (deleting and answer.verdict == Verdict.GONE):
        if deleting:
            return _deprovisioned(draft)
        return _provisioned(draft, answer) if operation == "Provision" else _updated(draft, "", answer)
    if answer.verdict == Verdict.OPERATION_FAILED:
        return _operation_failed(draft, answer, deleting=deleting)
    if draft.is_poll_time_over:
        late = "the operation did not end in the time that the broker's plan or this platform allows"
        return _operation_failed(draft, answer, deleting=deleting, why=late)
    return _keep_polling(draft, answer, "Deprovision" if deleting else operation or "Provision")


def _operation_failed(
    draft: InstanceDraft, answer: Answer, *, deleting: bool, why: str | None = None
) -> InstanceChange:
    operation = "deprovision" if deleting else (draft.operation or "operation").lower()
    message = f"The {operation} failed: {why or answer.description or 'no reason was given'}"
    draft.end_poll()
    _note_usability(draft, answer)
    if deleting:
        draft.ready(ConditionStatus.UNKNOWN, InstanceReason.DEPROVISION_FAILED, message)
        draft.say(InstanceReason.DEPROVISION_FAILED, message, is_warning=True)
        return draft.again(BROKER_CALLS.delay(draft.attempt + 1), attempt=draft.attempt + 1)
    if draft.operation == "Update":
        if why is None:
            draft.remember(wanted_plan_id="")
        draft.fail(InstanceReason.UPDATE_FAILED, InstanceReason.UPDATE_FAILED, message)
        draft.end_operation()
        return draft.rest()
    draft.fail(InstanceReason.PROVISION_FAILED, InstanceReason.PROVISION_FAILED, message)
    return _mitigate(draft, InstanceReason.PROVISION_FAILED, message)


def _keep_polling(draft: InstanceDraft, answer: Answer, operation: str) -> InstanceChange:
    in_progress = {
        "Provision": (InstanceReason.PROVISIONING, "The instance is being provisioned asynchronously"),
        "Update": (InstanceReason.UPDATING, "The instance is being updated asynchronously"),
        "Deprovision": (InstanceReason.DEPROVISIONING, "The instance is being deprovisioned asynchronously"),
    }
    reason, message = in_progress[operation]
    if answer.verdict == Verdict.IN_PROGRESS:
        draft.ready(
            ConditionStatus.FALSE, reason, f"{message} ({answer.description})" if answer.description else message
        )
    else:
        message = _failure("poll of the last operation", answer)
        draft.ready(ConditionStatus.FALSE, InstanceReason.ERROR_POLLING, message)
        draft.say(InstanceReason.ERROR_POLLING, message, is_warning=True)
    draft.remember(polls=draft.memory.polls + 1)
    pause = POLLS.delay(draft.memory.polls)
    asked = timedelta(seconds=answer.retry_after_seconds or 0)
    return draft.again(min(max(pause, asked), draft.poll_time_left), attempt=draft.attempt)


def _provisioned(draft: InstanceDraft, answer: Answer) -> InstanceChange:
    message = "The instance was provisioned successfully"
    draft.dashboard(answer)
    draft.succeed(InstanceReason.PROVISIONED, message)
    return draft.rest()


def _updated(draft: InstanceDraft, plan_id: str, answer: Answer) -> InstanceChange:
    plan = plan_id or draft.memory.wanted_plan_id or draft.memory.plan_id
    draft.remember(plan_id=plan, wanted_plan_id="")
    draft.dashboard(answer)
    draft.succeed(InstanceReason.UPDATED, "The instance was updated successfully")
    return draft.rest()


def _polling(draft: InstanceDraft, answer: Answer, reason: InstanceReason, message: str) -> InstanceChange:
    draft.dashboard(answer)
    draft.ready(ConditionStatus.FALSE, reason, message)
    draft.say(reason, message)
    draft.begin_poll(answer.operation)
    asked = timedelta(seconds=answer.retry_after_seconds or 0)
    return draft.again(min(max(POLLS.delay(1), asked), draft.poll_time_left), attempt=draft.attempt)


def _mitigate(draft: InstanceDraft, reason: InstanceReason, message: str) -> InstanceChange:
    draft.ready(ConditionStatus.FALSE, InstanceReason.STARTING_ORPHAN_MITIGATION, _STARTING_MITIGATION)
    draft.condition(ConditionType.ORPHAN_MITIGATION, ConditionStatus.TRUE, reason, message)
    draft.say(reason, message, is_warning=True)
    draft.say(InstanceReason.STARTING_ORPHAN_MITIGATION, _STARTING_MITIGATION, is_warning=True)
    draft.set(orphan_mitigation_in_progress=True, deprovision_status="Required")
    return draft.again(timedelta(0), attempt=draft.attempt + 1)


def _deprovisioned(draft: InstanceDraft) -> InstanceChange:
    draft.end_poll()
    draft.set(deprovision_status="Succeeded", provision_status="NotProvisioned", external_properties=None)
    draft.set(orphan_mitigation_in_progress=False, dashboard_url=None)
    draft.drop(ConditionType.ORPHAN_MITIGATION)
    if draft.is_deleted:
        message = "The instance was deprovisioned successfully"
        draft.end_operation()
        draft.ready(ConditionStatus.FALSE, InstanceReason.DEPROVISIONED, message)
        draft.say(InstanceReason.DEPROVISIONED, message)
        return draft.gone()
    message = "Orphan mitigation was completed successfully"
    draft.ready(ConditionStatus.FALSE, InstanceReason.ORPHAN_MITIGATED, message)
    draft.say(InstanceReason.ORPHAN_MITIGATED, message)
    if is_true(draft.status.conditions, ConditionType.FAILED):
        draft.end_operation()
        return draft.rest()
    return _retry(draft, None, message)


def _retry(draft: InstanceDraft, reason: InstanceReason | None, message: str) -> InstanceChange:
    if reason is not None:
        draft.ready(ConditionStatus.FALSE, reason, message)
        draft.say(reason, message, is_warning=True)
    if draft.is_time_over:
        late = f"Stopping reconciliation retries because too much time has elapsed; the last failure was: {message}"
        draft.fail(InstanceReason.RETRY_TIMEOUT, InstanceReason.RETRY_TIMEOUT, late)
        draft.end_operation()
        return draft.rest()
    # The failure that led here may already be counted, by the start of an orphan mitigation.
    attempt = draft.attempt + 1 if reason is not None else max(draft.attempt, 1)
    return draft.again(BROKER_CALLS.delay(attempt), attempt=attempt)


def _failure(what: str, answer: Answer) -> str:
    if answer.verdict in (Verdict.TIMED_OUT, Verdict.UNREACHABLE):
        return f"Error communicating with the broker during the {what}: {answer.sentence}"
    return f"The {what} failed: {answer.sentence}"


def _note_usability(draft: InstanceDraft, answer: Answer) -> None:
    # Silence is no news: only the broker's word, or an update that succeeds, makes the instance usable again.
    word = answer.body.get("instance_usable")
    if isinstance(word, bool):
        draft.remember(is_unusable=not word)


def _says_no(answer: Answer, field: str) -> bool:
    return answer.body.get(field) is False
