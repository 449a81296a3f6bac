"""What a round on a binding tells the operation history. Pure; from the result that the other modules have made.

The result says what has become of the operation: this module reads it, and decides nothing. A binding may have several
under way: its own bind or unbind, a rotation, and the revocation of credentials that it had before, each with the id by
which the broker knows them. Called by: `binding_outcomes.py`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from chandlery.model.history.recorded_operations import OperationName, OperationOutcome, OperationWords
from chandlery.model.text.clean_text import clean_event
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.history.open_operations import OpenOperation, OperationKey
from chandlery.reconcile.history.round_ends import RoundEnds, polled
from chandlery.reconcile.history.round_history import GONE, RoundHistory, failed_as, has_failed, named, words_of
from chandlery.reconcile.history.told_round import Told, ToldRound
from chandlery_binder.absorb.binding_draft import BindingResult
from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot, InjectionProblem
from chandlery_binder.facts.operation_origins import origin_of, usual_origin
from chandlery_binder.facts.rotation_notes import BackgroundOperationKind
from chandlery_binder.facts.sealed_binding_notes import SealedNotes
from chandlery_binder.rotation.rotation_schedule import is_rotation_wanted

_NAMES: Final = {
    BindingPurpose.BIND: OperationName.BIND,
    BindingPurpose.FETCH: OperationName.BIND,
    BindingPurpose.INJECT: OperationName.BIND,
    BindingPurpose.UNBIND: OperationName.UNBIND,
    BindingPurpose.MITIGATE: OperationName.ORPHAN_MITIGATION,
    BindingPurpose.ROTATE: OperationName.ROTATE,
    BindingPurpose.POLL_ROTATION: OperationName.ROTATE,
    BindingPurpose.FETCH_ROTATION: OperationName.ROTATE,
}
_ROTATIONS: Final = frozenset(purpose for purpose, name in _NAMES.items() if name == OperationName.ROTATE)
_RETIREMENTS: Final = frozenset({BindingPurpose.RETIRE, BindingPurpose.POLL_RETIREMENT})
_DELETIONS: Final = frozenset({OperationName.UNBIND, OperationName.ORPHAN_MITIGATION})


def history_of(snapshot: BindingSnapshot) -> ToldRound[OpenBindingRequest, BindingResult]:
    """What this round can tell."""
    return ToldRound(
        open_operations=snapshot.open_operations,
        lost=snapshot.sealed.request,
        name=lambda sent: _name(snapshot, sent),
        external_id=lambda sent: _external_id(snapshot, sent),
        begin=lambda history, sent, name: _begun(history, snapshot, sent, name),
        origin=lambda sent, name: origin_of(snapshot, sent, name),
        ends=lambda result: _ends(snapshot, result),
    )


def with_answer(
    snapshot: BindingSnapshot,
    sent: OpenBindingRequest,
    *,
    answer: Answer,
    result: BindingResult,
    problem: InjectionProblem | None,
    now: datetime,
) -> BindingResult:
    """The result of a call, with what the history is told of it."""

    def told(name: OperationName) -> Told | None:
        outcome = _outcome(name, snapshot, sent, answer=answer, result=result)
        if not _is_news(sent, outcome, answer, result):
            return None
        return Told(outcome, _words(answer, problem, is_deletion=name in _DELETIONS))

    return history_of(snapshot).with_answer(sent, told=told, result=result, now=now)


def _name(snapshot: BindingSnapshot, sent: OpenBindingRequest) -> OperationName | None:
    """Which operation a request is part of; None for what changes nothing at the broker."""
    if sent.purpose in _RETIREMENTS:
        place = sent.placement.binding_id
        of = (each.is_leftover for each in snapshot.memory.retired if each.placement.binding_id == place)
        return OperationName.ORPHAN_MITIGATION if next(of, False) else OperationName.UNBIND
    status = snapshot.binding.status
    if sent.purpose == BindingPurpose.INJECT and named(status.current_operation) != OperationName.BIND:
        return None
    if sent.purpose != BindingPurpose.POLL:
        return _NAMES.get(sent.purpose)
    return polled(status, deletion=OperationName.UNBIND)


def _begun(
    history: RoundHistory, snapshot: BindingSnapshot, sent: OpenBindingRequest, name: OperationName
) -> OperationKey:
    status, traits, started_at = snapshot.binding.status, sent.purpose.traits, sent.started_at
    is_part = traits.only_asks or traits.is_local
    if is_part and status.operation_start_time is not None:
        # Only of an operation that began before there was a history.
        started_at = status.operation_start_time.timestamp()
    return history.begin(name, _external_id(snapshot, sent), started_at=started_at, is_attempt=not is_part)


def _external_id(snapshot: BindingSnapshot, sent: OpenBindingRequest) -> str:
    return sent.placement.binding_id or snapshot.binding.spec.external_id


def _outcome(
    name: OperationName, snapshot: BindingSnapshot, sent: OpenBindingRequest, *, answer: Answer, result: BindingResult
) -> OperationOutcome:
    status = result.document.status
    if name == OperationName.ROTATE:
        if status.external_id == sent.placement.binding_id:
            return OperationOutcome.SUCCEEDED
        is_refused = BindingMemory.model_validate(result.memory).rotation.is_refused
        return OperationOutcome.FAILED if is_refused else OperationOutcome.IN_PROGRESS
    if name not in _DELETIONS:
        if has_failed(status.conditions):
            is_late = sent.purpose.traits.is_poll and answer.verdict != Verdict.OPERATION_FAILED
            return failed_as(status.conditions, is_late=is_late)
        return OperationOutcome.IN_PROGRESS if status.current_operation else OperationOutcome.SUCCEEDED
    if answer.verdict in GONE:
        return OperationOutcome.SUCCEEDED
    is_forced = snapshot.is_deleted and snapshot.requested_actions.forces_deletion
    if result.is_finished or (is_forced and not status.async_op_in_progress):
        return OperationOutcome.GIVEN_UP
    is_put_off = sent.purpose == BindingPurpose.UNBIND and named(status.current_operation) != name
    return OperationOutcome.FAILED if is_put_off else OperationOutcome.IN_PROGRESS


def _is_news(sent: OpenBindingRequest, outcome: OperationOutcome, answer: Answer, result: BindingResult) -> bool:
    """A poll that ends nothing is none; one that leads to another try is."""
    traits = sent.purpose.traits
    if outcome != OperationOutcome.IN_PROGRESS or not (traits.only_asks or traits.is_local):
        return True
    if traits.is_beside_ready:
        return BindingMemory.model_validate(result.memory).background_operation is None
    is_going = traits.is_local or answer.verdict == Verdict.SUCCEEDED or result.document.status.async_op_in_progress
    return not is_going


def _words(answer: Answer, problem: InjectionProblem | None, *, is_deletion: bool) -> OperationWords:
    words = words_of(answer, is_deletion=is_deletion)
    if problem is None:
        return words
    return replace(words, message=clean_event(f"Error injecting bind result: {problem.message}"), is_failure=True)


def _ends(snapshot: BindingSnapshot, result: BindingResult) -> RoundEnds:
    return RoundEnds(
        goes_on=lambda each: _goes_on(each, snapshot, result),
        end=lambda each: _end(each, snapshot, result),
        origin=lambda operation: usual_origin(snapshot, operation),
    )


def _goes_on(operation: OpenOperation, snapshot: BindingSnapshot, result: BindingResult) -> bool:
    status, name = result.document.status, operation.operation
    current = named(status.current_operation)
    if name == OperationName.BIND:
        return current == name and not has_failed(status.conditions)
    if name == OperationName.ROTATE:
        return _is_rotating(snapshot, result)
    memory, own_id = BindingMemory.model_validate(result.memory), snapshot.binding.spec.external_id
    if operation.external_id != (memory.placement.binding_id or own_id):
        kept = {each.placement.binding_id or own_id for each in memory.retired if not each.is_waived}
        return operation.external_id in kept
    if name == OperationName.UNBIND:
        return current == name
    return bool(status.orphan_mitigation_in_progress) and current != OperationName.UNBIND


def _is_rotating(snapshot: BindingSnapshot, result: BindingResult) -> bool:
    """Whether the broker works on a rotation, or was asked and has not answered, or one that failed is tried again."""
    memory = BindingMemory.model_validate(result.memory)
    if snapshot.is_deleted or memory.rotation.is_refused:
        return False
    background = memory.background_operation
    if background is not None and background.kind == BackgroundOperationKind.ROTATE:
        return True
    kept = SealedNotes.from_stored(result.sealed).request
    is_unanswered = kept is not None and kept.purpose in _ROTATIONS
    return is_unanswered or is_rotation_wanted(replace(snapshot, memory=memory))


def _end(operation: OpenOperation, snapshot: BindingSnapshot, result: BindingResult) -> OperationOutcome:
    conditions = result.document.status.conditions
    if operation.operation == OperationName.ORPHAN_MITIGATION:
        return OperationOutcome.SUPERSEDED if snapshot.is_deleted else OperationOutcome.GIVEN_UP
    if operation.operation == OperationName.UNBIND:
        return OperationOutcome.GIVEN_UP
    is_failed = operation.operation == OperationName.BIND and has_failed(conditions)
    return failed_as(conditions) if is_failed else OperationOutcome.SUPERSEDED
