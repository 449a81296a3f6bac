"""What becomes of a binding after the answers to a rotation: to the bind, its polls and the fetch. Pure.

Until an answer says otherwise, the new id counts as something that may be left at the broker (`retired`). So whatever
happens, the credentials in the Secret stay good, and nothing is forgotten at the broker.
"""

from datetime import UTC, datetime, timedelta

from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict, call_failure
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery.reconcile.operation.polling import PollResult, result_of_poll
from chandlery.reconcile.status_draft import joined
from chandlery_binder.absorb.bind_answers import is_final, note_grant, told
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.absorb.binding_remedies import POLLED_ON, how_to_rotate, how_to_rotate_again
from chandlery_binder.facts.bind_grants import Grant
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import InjectionProblem
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Placement, Retired
from chandlery_binder.rotation.background_operations import (
    absorb_retirement,
    absorb_retirement_poll,
    begin_background_operation,
    is_late,
    next_poll,
)


def absorb_beside(
    draft: BindingDraft,
    sent: OpenBindingRequest,
    *,
    answer: Answer,
    grant: Grant | None,
    problem: InjectionProblem | None,
) -> BindingResult:
    """What the answer changes. `grant` is what it gives, if anything that can be used."""
    if draft.is_deleted:
        # Nobody wants other credentials any more. What there is of them is noted, and unbound with the rest.
        return draft.again(timedelta(0), attempt=0)
    if grant is not None:
        return absorb_rotated(draft, sent, grant=grant, problem=problem)
    match sent.purpose:
        case BindingPurpose.RETIRE:
            return absorb_retirement(draft, sent, answer)
        case BindingPurpose.POLL_RETIREMENT:
            return absorb_retirement_poll(
                draft, _background_operation(draft, BackgroundOperationKind.RETIRE, sent), answer
            )
        case BindingPurpose.POLL_ROTATION:
            return absorb_rotation_poll(
                draft, _background_operation(draft, BackgroundOperationKind.ROTATE, sent), answer
            )
    if answer.verdict == Verdict.SUCCEEDED:
        return absorb_lost_rotation(draft, sent)
    if sent.purpose.traits.is_fetch:
        return absorb_failed_rotation_fetch(
            draft, _background_operation(draft, BackgroundOperationKind.ROTATE, sent), answer
        )
    return absorb_rotation(draft, sent, answer)


def _background_operation(
    draft: BindingDraft, kind: BackgroundOperationKind, sent: OpenBindingRequest
) -> BackgroundOperation:
    return draft.memory.background_operation or BackgroundOperation(
        kind=kind, placement=sent.placement, started_at=sent.started_at
    )


_DOUBTFUL = frozenset({Verdict.BROKEN, Verdict.TIMED_OUT})


def absorb_rotated(
    draft: BindingDraft, sent: OpenBindingRequest, *, grant: Grant, problem: InjectionProblem | None
) -> BindingResult:
    """The broker has given other credentials, and the Secret has them unless there is a problem."""
    if problem is not None:
        told_of = f"Error injecting bind result: {problem.message}"
        return _left(draft, sent.placement, told_of, is_final=problem.is_final)
    before, now = draft.memory, draft.now.timestamp()
    old = Retired(placement=before.placement, next_at=now + draft.snapshot.rotation_grace.total_seconds())
    notes = before.rotation.model_copy(
        update={
            "granted_at": now,
            "seen": sent.rotation_request,
            "attempts": 0,
            "next_at": 0.0,
            "is_refused": False,
            "problem": "",
        }
    )
    retired = (*_without(before.retired, sent.placement), old)
    draft.remember(
        placement=sent.placement, retired=retired, background_operation=None, rotation=notes, secret_problem=""
    )
    draft.set(external_id=sent.placement.binding_id, last_rotation_time=draft.now)
    if sent.properties is not None:
        draft.set(external_properties=sent.properties)
    note_grant(draft, grant)
    draft.keep_delivered(grant.values)
    message = f"The credentials were replaced. The earlier ones are revoked at {_clock(old.next_at)}"
    draft.say(BindingReason.ROTATED, message)
    return draft.rest()


def absorb_rotation(draft: BindingDraft, sent: OpenBindingRequest, answer: Answer) -> BindingResult:
    """The broker has accepted the rotation and works on it, or has not."""
    if answer.verdict == Verdict.ACCEPTED:
        draft.remember(retired=_without(draft.memory.retired, sent.placement))
        begin_background_operation(draft, BackgroundOperationKind.ROTATE, sent, answer)
        return draft.rest()
    message = told(answer)
    in_doubt = draft.snapshot.to_repeat is not None
    if answer.verdict in _DOUBTFUL:
        return _left(draft, sent.placement, message)
    if needs_mitigation(answer):
        return _left(draft, sent.placement, message, is_final=True)
    if in_doubt or answer.verdict == Verdict.MALFORMED:
        return _left(draft, sent.placement, message, is_final=is_final(answer))
    draft.remember(retired=_without(draft.memory.retired, sent.placement))
    return _failed(draft, message, is_final=is_final(answer), retry_after_seconds=answer.retry_after_seconds)


def absorb_lost_rotation(draft: BindingDraft, sent: OpenBindingRequest) -> BindingResult:
    """The broker shows credentials once, and whoever saw these died."""
    return _left(draft, sent.placement, "The broker does not return the new credentials again")


def absorb_rotation_poll(draft: BindingDraft, background: BackgroundOperation, answer: Answer) -> BindingResult:
    """OSB v2.17, "Polling Last Operation for Service Bindings"."""
    result = result_of_poll(answer, is_deletion=False, is_time_over=is_late(draft, background))
    match result:
        case PollResult.SUCCEEDED:
            fetched_next = {"poll_until": None, "next_at": draft.now.timestamp()}
            draft.remember(background_operation=background.model_copy(update=fetched_next))
            return draft.rest()
        case PollResult.FAILED:
            return _left(draft, background.placement, f"The broker failed it: {answer.description or NO_REASON}")
        case PollResult.TIMED_OUT:
            late = "It did not finish within the time limit of the plan or of this platform"
            return _left(draft, background.placement, late)
    draft.remember(background_operation=next_poll(draft, background, answer))
    _show_poll(draft, answer, result)
    return draft.rest()


def _show_poll(draft: BindingDraft, answer: Answer, result: PollResult) -> None:
    problem = ""
    if result == PollResult.UNCLEAR:
        failure = call_failure("poll of the rotation", answer)
        draft.tell(BindingReason.ERROR_POLLING, failure)
        problem = joined(failure, POLLED_ON, how_to_rotate_again(draft.metadata))
    draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": problem}))


def absorb_failed_rotation_fetch(draft: BindingDraft, background: BackgroundOperation, answer: Answer) -> BindingResult:
    """The broker has the new credentials, so it is asked for them again, though not for ever."""
    message = call_failure("fetch of the binding", answer)
    if draft.now - datetime.fromtimestamp(background.started_at, UTC) > draft.policy.give_up_after:
        return _left(draft, background.placement, message)
    fetches = background.fetches + 1
    pause = draft.policy.pause(fetches, answer.retry_after_seconds)
    draft.remember(
        background_operation=background.model_copy(update={"fetches": fetches, "next_at": _after(draft, pause)})
    )
    _tell(draft, message, f"The next fetch is at {_clock(_after(draft, pause))}")
    return draft.rest()


def _left(draft: BindingDraft, placement: Placement, message: str, *, is_final: bool = False) -> BindingResult:
    """The rotation has failed, and its id may be left at the broker."""
    leftover = Retired(placement=placement, next_at=draft.now.timestamp(), is_leftover=True, is_waived=draft.is_waived)
    draft.remember(retired=(*_without(draft.memory.retired, placement), leftover))
    return _failed(draft, message, is_final=is_final, looks_again=True)


def _failed(
    draft: BindingDraft,
    message: str,
    *,
    is_final: bool,
    retry_after_seconds: float | None = None,
    looks_again: bool = False,
) -> BindingResult:
    attempts = draft.memory.rotation.attempts + 1
    next_at = _after(draft, draft.policy.pause(attempts, retry_after_seconds))
    notes = draft.memory.rotation.model_copy(
        update={"attempts": 0 if is_final else attempts, "next_at": next_at, "is_refused": is_final}
    )
    draft.remember(background_operation=None, rotation=notes)
    _tell(draft, message, "" if is_final else f"The next attempt is at {_clock(next_at)}")
    return draft.rest_ready(due_at=draft.now) if looks_again else draft.rest()


def _tell(draft: BindingDraft, message: str, outlook: str) -> None:
    told_of = f"the credentials were not replaced, and those in the Secret stay valid. {message}"
    draft.say(BindingReason.ROTATION_FAILED, told_of, is_warning=True)
    shown = joined(told_of, outlook or how_to_rotate(draft.metadata))
    draft.remember(rotation=draft.memory.rotation.model_copy(update={"problem": shown}))


def _without(retired: tuple[Retired, ...], placement: Placement) -> tuple[Retired, ...]:
    return tuple(each for each in retired if each.placement.binding_id != placement.binding_id)


def _after(draft: BindingDraft, pause: timedelta) -> float:
    return (draft.now + pause).timestamp()


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
