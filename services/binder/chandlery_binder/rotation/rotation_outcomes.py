"""What becomes of a binding that is ready after an answer that concerns other credentials than those in its Secret."""

from datetime import timedelta

from chandlery.reconcile.answers import Answer, Verdict
from chandlery_binder.absorb.binding_draft import BindingChange, BindingDraft
from chandlery_binder.facts.bind_grants import Grant
from chandlery_binder.facts.binding_notes import InFlight, Purpose
from chandlery_binder.facts.binding_snapshot import InjectionProblem
from chandlery_binder.facts.rotation_notes import BackgroundOperation, ErrandKind
from chandlery_binder.rotation.background_operations import absorb_retirement, absorb_retirement_poll
from chandlery_binder.rotation.rotation_answers import (
    absorb_failed_rotation_fetch,
    absorb_lost_rotation,
    absorb_rotated,
    absorb_rotation,
    absorb_rotation_poll,
)

ROTATIONS = frozenset(
    {Purpose.ROTATE, Purpose.POLL_ROTATION, Purpose.FETCH_ROTATION, Purpose.RETIRE, Purpose.POLL_RETIREMENT}
)
"""Rounds beside a binding that stays ready."""


def absorb_beside(
    draft: BindingDraft, sent: InFlight, *, answer: Answer, grant: Grant | None, problem: InjectionProblem | None
) -> BindingChange:
    """What the answer changes. `grant` is what it gives, if anything that can be used."""
    if draft.is_deleted:
        # Nobody wants other credentials any more. What there is of them is noted, and unbound with the rest.
        return draft.again(timedelta(0), attempt=0)
    if grant is not None:
        return absorb_rotated(draft, sent, grant=grant, problem=problem)
    match sent.purpose:
        case Purpose.RETIRE:
            return absorb_retirement(draft, sent, answer)
        case Purpose.POLL_RETIREMENT:
            return absorb_retirement_poll(draft, _errand(draft, ErrandKind.RETIRE, sent), answer)
        case Purpose.POLL_ROTATION:
            return absorb_rotation_poll(draft, _errand(draft, ErrandKind.ROTATE, sent), answer)
    if answer.verdict == Verdict.SUCCEEDED:
        return absorb_lost_rotation(draft, sent)
    if sent.purpose == Purpose.FETCH_ROTATION:
        return absorb_failed_rotation_fetch(draft, _errand(draft, ErrandKind.ROTATE, sent), answer)
    return absorb_rotation(draft, sent, answer)


def _errand(draft: BindingDraft, kind: ErrandKind, sent: InFlight) -> BackgroundOperation:
    return draft.memory.errand or BackgroundOperation(kind=kind, placement=sent.placement, started_at=sent.started_at)
