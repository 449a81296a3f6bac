"""What the log tells of rounds to whoever looks into them (`chandlery.engine=debug`).

Which call a round has decided on, and what it has come to: why the object is left alone now, and what brings it back.
"""

import logging
from typing import Any, Final

import structlog

from chandlery.engine.rounds.claimed_round import DecidedRound, broker_of
from chandlery.model.objects.conditions import ConditionType
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import to_timestamp
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.work.work_claims import Claim

log = structlog.get_logger(__name__)

_NO_REASON: Final = ""


def is_wanted() -> bool:
    """Whether anybody looks."""
    return bool(log.is_enabled_for(logging.DEBUG))


def say_decided(decided: DecidedRound[Any, Any]) -> None:
    """A call is to be made."""
    # What it is for: what it holds are parameters.
    call = decided.planned.action
    where = f" at service broker {broker_of(decided.to.lane)}" if decided.to else ""
    _say(
        decided.claim,
        decided.document,
        f"{call}{where} is due for generation {decided.document.metadata.generation}",
        action="decide_round",
        operation=call,
        attempt=decided.claim.attempt + 1,
    )


def say_written(claim: Claim, document: AnyObject, change: ReconcileResult[Any]) -> None:
    """A round is over."""
    following = change.next
    due_at = to_timestamp(following.due_at) if following.due_at is not None else None
    _say(
        claim,
        document,
        _what_follows(change, due_at),
        action="end_round",
        condition_reason=_reason(document),
        due_at=due_at,
        waiting_for=following.waiting_for,
        attempt=following.attempt,
    )


def _what_follows(change: ReconcileResult[Any], due_at: str | None) -> str:
    if change.is_finished:
        return "all is cleaned up, and the finalizer is removed"
    waiting_for = change.next.waiting_for
    if due_at is None:
        return f"nothing is due until {waiting_for} changes" if waiting_for else "nothing is due until it changes"
    earlier = f", or when {waiting_for} changes" if waiting_for else ""
    return f"the next look is at {due_at}{earlier}"


def _reason(document: AnyObject) -> str:
    conditions = getattr(getattr(document, "status", None), "conditions", None) or ()
    return next((each.reason for each in conditions if each.type == ConditionType.READY), _NO_REASON)


def _say(claim: Claim, document: AnyObject, what: str, *, action: str, **facts: Any) -> None:
    meta = document.metadata
    place = f"{meta.namespace}/" if meta.namespace else ""
    log.debug(
        f"{claim.kind} {place}{meta.name}: {what}",
        action=action,
        kind=claim.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=claim.uid,
        lane=claim.lane,
        **facts,
    )
