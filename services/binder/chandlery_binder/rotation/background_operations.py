"""Asynchronous operations beside a binding that stays ready: their polls, and the revocation of earlier credentials."""

from datetime import UTC, datetime

from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict, call_failure
from chandlery.reconcile.operation.polling import (
    UNCLEAR_POLLS,
    PollResult,
    poll_deadline,
    poll_pause,
    result_of_poll,
    unclear_polls,
)
from chandlery_binder.absorb.binding_draft import BindingDraft, BindingResult
from chandlery_binder.facts.binding_notes import OpenBindingRequest
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Placement, Retired

_DONE = frozenset({Verdict.SUCCEEDED, Verdict.GONE})


def begin_background_operation(
    draft: BindingDraft, kind: BackgroundOperationKind, sent: OpenBindingRequest, answer: Answer
) -> None:
    """The broker has accepted and works on it, for as long as its plan or this platform allows."""
    background = BackgroundOperation(
        kind=kind,
        placement=sent.placement,
        started_at=draft.now.timestamp(),
        operation=answer.operation,
        poll_until=poll_deadline(draft.snapshot.offering, draft.policy, draft.now),
        rotation_request=sent.rotation_request,
        properties=sent.properties,
    )
    draft.remember(background_operation=next_poll(draft, background, answer))


def next_poll(draft: BindingDraft, background: BackgroundOperation, answer: Answer) -> BackgroundOperation:
    """The same with the moment of its next poll: soon, or when the broker asks for it, or when its time is up."""
    polls = background.polls + 1
    pause = poll_pause(
        draft.policy,
        polls,
        started_at=datetime.fromtimestamp(background.started_at, UTC),
        until=background.poll_until,
        now=draft.now,
        retry_after_seconds=answer.retry_after_seconds,
    )
    unclear = unclear_polls(background.unclear, answer)
    return background.model_copy(
        update={"polls": polls, "unclear": unclear, "next_at": (draft.now + pause).timestamp()}
    )


def is_late(draft: BindingDraft, background: BackgroundOperation) -> bool:
    """Whether the time of the operation is over."""
    return background.poll_until is not None and draft.now.timestamp() >= background.poll_until


def absorb_retirement(draft: BindingDraft, sent: OpenBindingRequest, answer: Answer) -> BindingResult:
    """OSB v2.17, "Unbinding": only 200 and 410 say that it is gone; whatever else comes, it is asked again."""
    if answer.verdict in _DONE:
        return _retired(draft, sent.placement)
    if answer.verdict == Verdict.ACCEPTED:
        begin_background_operation(draft, BackgroundOperationKind.RETIRE, sent, answer)
        return draft.rest()
    message = call_failure("unbind call", answer)
    return _not_retired(draft, sent.placement, message, retry_after_seconds=answer.retry_after_seconds)


def absorb_retirement_poll(draft: BindingDraft, background: BackgroundOperation, answer: Answer) -> BindingResult:
    """The same for a broker that takes its time."""
    place = background.placement
    match result_of_poll(answer, is_deletion=True, is_time_over=is_late(draft, background)):
        case PollResult.SUCCEEDED:
            return _retired(draft, place)
        case PollResult.FAILED:
            why = answer.description or NO_REASON
            return _not_retired(draft, place, f"The asynchronous unbind failed: {why}")
        case PollResult.TIMED_OUT:
            late = "The asynchronous unbind did not finish within the time limit of the plan or of this platform"
            return _not_retired(draft, place, late)
    following = next_poll(draft, background, answer)
    if following.unclear >= UNCLEAR_POLLS:
        return _not_retired(draft, background.placement, call_failure("poll of the last operation", answer))
    draft.remember(background_operation=following)
    return draft.rest()


def _retired(draft: BindingDraft, placement: Placement) -> BindingResult:
    left = tuple(each for each in draft.memory.retired if not _is(each, placement))
    draft.remember(retired=left, background_operation=None)
    draft.say(BindingReason.RETIRED, "Credentials that are no longer in a Secret were revoked")
    return draft.rest()


def _not_retired(
    draft: BindingDraft, placement: Placement, message: str, *, retry_after_seconds: float | None = None
) -> BindingResult:
    draft.remember(
        background_operation=None,
        retired=tuple(_again(draft, each, placement, retry_after_seconds) for each in draft.memory.retired),
    )
    attempts = next((each.attempts for each in draft.memory.retired if _is(each, placement)), 0)
    if attempts == 1:
        told = (
            "Credentials that are no longer in a Secret could not be revoked. The unbind is retried "
            f"automatically. {message}"
        )
        draft.say(BindingReason.RETIREMENT_FAILED, told, is_warning=True)
    return draft.rest()


def _again(draft: BindingDraft, each: Retired, placement: Placement, retry_after_seconds: float | None) -> Retired:
    if not _is(each, placement):
        return each
    attempts = each.attempts + 1
    pause = draft.policy.pause(attempts, retry_after_seconds)
    return each.model_copy(update={"attempts": attempts, "next_at": (draft.now + pause).timestamp()})


def _is(retired: Retired, placement: Placement) -> bool:
    return retired.placement.binding_id == placement.binding_id
