"""What a round on an instance tells the operation history. Pure; from the result that the other modules have made.

The result says what has become of the operation: this module reads it, and decides nothing. Called by:
`instance_outcomes.py`.
"""

from datetime import datetime
from typing import Final

from chandlery.model.history.recorded_operations import OperationName, OperationOutcome, OperationReason
from chandlery.model.history.system_users import PROVISIONER, SYNCER
from chandlery.model.objects.instances import ServiceInstanceStatus
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.history.open_operations import OpenOperation, OperationKey
from chandlery.reconcile.history.round_ends import RoundEnds, polled
from chandlery.reconcile.history.round_history import GONE, Origin, RoundHistory, failed_as, has_failed, named, words_of
from chandlery.reconcile.history.told_round import Told, ToldRound
from chandlery_provisioner.absorb.instance_draft import InstanceResult
from chandlery_provisioner.facts.instance_notes import InstancePurpose, OpenInstanceRequest
from chandlery_provisioner.facts.instance_snapshot import InstanceSnapshot

_NAMES: Final = {
    InstancePurpose.PROVISION: OperationName.PROVISION,
    InstancePurpose.UPDATE: OperationName.UPDATE,
    InstancePurpose.DEPROVISION: OperationName.DEPROVISION,
    InstancePurpose.MITIGATE: OperationName.ORPHAN_MITIGATION,
}
_USUAL: Final = {
    OperationName.PROVISION: OperationReason.CREATED,
    OperationName.UPDATE: OperationReason.SPEC_CHANGED,
    OperationName.DEPROVISION: OperationReason.DELETED,
    OperationName.ORPHAN_MITIGATION: OperationReason.CREATION_FAILED,
}
_DELETIONS: Final = frozenset({OperationName.DEPROVISION, OperationName.ORPHAN_MITIGATION})
_OWN: Final = frozenset({OperationReason.PARAMETERS_CHANGED, OperationReason.CONTEXT_CHANGED})


def history_of(snapshot: InstanceSnapshot) -> ToldRound[OpenInstanceRequest, InstanceResult]:
    """What this round can tell."""
    return ToldRound(
        open_operations=snapshot.open_operations,
        lost=snapshot.request,
        name=lambda sent: _name(snapshot, sent),
        external_id=lambda _: snapshot.instance.spec.external_id,
        begin=lambda history, sent, name: _begun(history, snapshot, sent, name),
        origin=lambda sent, name: _origin(snapshot, sent, name),
        ends=lambda result: _ends(snapshot, result),
    )


def with_answer(
    snapshot: InstanceSnapshot, sent: OpenInstanceRequest, *, answer: Answer, result: InstanceResult, now: datetime
) -> InstanceResult:
    """The result of a call, with what the history is told of it."""

    def told(name: OperationName) -> Told | None:
        outcome = _outcome(name, sent, answer, result)
        is_over = outcome != OperationOutcome.IN_PROGRESS
        # A poll that ends nothing is no news; one that leads to another try is.
        if sent.purpose.traits.is_poll and not is_over and result.document.status.async_op_in_progress:
            return None
        return Told(outcome, words_of(answer, is_deletion=name in _DELETIONS))

    return history_of(snapshot).with_answer(sent, told=told, result=result, now=now)


def _name(snapshot: InstanceSnapshot, sent: OpenInstanceRequest) -> OperationName | None:
    """Which operation a request is part of; None for what changes nothing at the broker."""
    if sent.purpose != InstancePurpose.POLL:
        return _NAMES.get(sent.purpose)
    return polled(snapshot.instance.status, deletion=OperationName.DEPROVISION)


def _begun(
    history: RoundHistory, snapshot: InstanceSnapshot, sent: OpenInstanceRequest, name: OperationName
) -> OperationKey:
    status, external_id = snapshot.instance.status, snapshot.instance.spec.external_id
    is_poll, started_at = sent.purpose.traits.is_poll, sent.started_at
    if is_poll and status.operation_start_time is not None:
        # Only of an operation that began before there was a history.
        started_at = status.operation_start_time.timestamp()
    key = OperationKey.of(name, external_id)
    if sent.properties is not None and sent.generation > status.observed_generation and history.is_open(key):
        history.supersede(key, _origin(snapshot, sent, name))
    return history.begin(name, external_id, started_at=started_at, is_attempt=not is_poll)


def _outcome(
    name: OperationName, sent: OpenInstanceRequest, answer: Answer, result: InstanceResult
) -> OperationOutcome:
    status = result.document.status
    if name in _DELETIONS:
        if answer.verdict in GONE:
            return OperationOutcome.SUCCEEDED
        if result.is_finished:
            return OperationOutcome.GIVEN_UP
        is_put_off = name == OperationName.DEPROVISION and named(status.current_operation) != name
        return OperationOutcome.FAILED if is_put_off else OperationOutcome.IN_PROGRESS
    if has_failed(status.conditions):
        is_late = sent.purpose.traits.is_poll and answer.verdict != Verdict.OPERATION_FAILED
        return failed_as(status.conditions, is_late=is_late)
    return OperationOutcome.IN_PROGRESS if status.current_operation else OperationOutcome.SUCCEEDED


def _ends(snapshot: InstanceSnapshot, result: InstanceResult) -> RoundEnds:
    name = snapshot.instance.metadata.name
    return RoundEnds(
        goes_on=lambda each: _goes_on(each, result.document.status),
        end=lambda each: _end(each, snapshot, result),
        origin=lambda operation: Origin(reason=_USUAL[operation], requested_by="", instance_name=name),
    )


def _goes_on(operation: OpenOperation, status: ServiceInstanceStatus) -> bool:
    current = named(status.current_operation)
    if operation.operation == OperationName.ORPHAN_MITIGATION:
        return status.orphan_mitigation_in_progress and current != OperationName.DEPROVISION
    is_over = operation.operation not in _DELETIONS and has_failed(status.conditions)
    return current == operation.operation and not is_over


def _end(operation: OpenOperation, snapshot: InstanceSnapshot, result: InstanceResult) -> OperationOutcome:
    conditions = result.document.status.conditions
    if operation.operation == OperationName.ORPHAN_MITIGATION:
        return OperationOutcome.SUPERSEDED if snapshot.is_deleted else OperationOutcome.GIVEN_UP
    if operation.operation in _DELETIONS:
        return OperationOutcome.GIVEN_UP
    return failed_as(conditions) if has_failed(conditions) else OperationOutcome.SUPERSEDED


def _origin(snapshot: InstanceSnapshot, sent: OpenInstanceRequest, name: OperationName) -> Origin:
    reason, user = _reason(snapshot, sent, name), snapshot.instance.spec.user_info
    requested_by = (user.username if user else None) or ""
    if reason in _OWN or name == OperationName.ORPHAN_MITIGATION:
        requested_by = PROVISIONER
    if reason == OperationReason.NAMESPACE_DELETED:
        requested_by = SYNCER
    return Origin(reason=reason, requested_by=requested_by, instance_name=snapshot.instance.metadata.name)


def _reason(snapshot: InstanceSnapshot, sent: OpenInstanceRequest, name: OperationName) -> OperationReason:
    last_applied = snapshot.memory.last_applied
    if name == OperationName.ORPHAN_MITIGATION:
        return OperationReason.CREATION_FAILED
    if name == OperationName.DEPROVISION:
        return OperationReason.NAMESPACE_DELETED if snapshot.is_namespace_deleted else OperationReason.DELETED
    if snapshot.is_retry_requested:
        return OperationReason.RETRY_REQUESTED
    if sent.is_own:
        is_secret = sent.digest.checksum != last_applied.checksum
        return OperationReason.PARAMETERS_CHANGED if is_secret else OperationReason.CONTEXT_CHANGED
    if name == OperationName.PROVISION:
        is_first = snapshot.instance.status.observed_generation == 0 or snapshot.generation == 1
        return OperationReason.CREATED if is_first else OperationReason.SPEC_CHANGED
    is_asked_for = sent.digest.update_requests > last_applied.update_requests
    return OperationReason.UPDATE_REQUESTED if is_asked_for else OperationReason.SPEC_CHANGED
