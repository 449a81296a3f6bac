"""What came of a round, in words that can be counted. Pure; the loop makes one in the transaction that records it.

What has ended, an orphan mitigation or a rotation, is read from the status before and after: so it is counted once,
whether the service broker was done at once or was polled for hours.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from chandlery.engine.reconciler import Planned
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.operation.deferral import Deferral

UNDECIDED: Final = "undecided"
"""Stands for the action of a round that failed before there was one."""


class Outcome(StrEnum):
    """How a round has ended."""

    DONE = "done"
    """It is recorded, and if somebody was called, that went well."""
    IN_PROGRESS = "in progress"
    """The service broker works on it."""
    FAILED = "failed"
    """The service broker has refused or failed, or was not reached; or what it gave could not be delivered."""
    DEFERRED = "deferred"
    """Nobody was called: the circuit is open, or the rate limit has no turn yet."""
    MOVED = "moved"
    """Its service broker is known by now, and the work goes to the lane of that."""
    LEASE_LOST = "lease lost"
    GIVEN_BACK = "given back"
    """It was cut off by a shutdown, or could not be recorded."""
    ERROR = "error"
    """A bug."""


class DeferralReason(StrEnum):
    """Why nobody was called."""

    CIRCUIT = "circuit"
    RATE_LIMIT = "rate limit"


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """One round, once it is recorded."""

    action: str
    outcome: Outcome
    lane: str = ""
    deferred_by: DeferralReason | None = None
    mitigation: Outcome | None = None
    """How the orphan mitigation has ended, DONE or FAILED, if one has."""
    rotation: Outcome | None = None
    """The same of a rotation."""


_OUTCOMES: Final = {
    Verdict.SUCCEEDED: Outcome.DONE,
    Verdict.GONE: Outcome.DONE,
    Verdict.UNCHANGED: Outcome.DONE,
    Verdict.ACCEPTED: Outcome.IN_PROGRESS,
    Verdict.IN_PROGRESS: Outcome.IN_PROGRESS,
}


def report_of_deferral(action: str, deferral: Deferral, *, lane: str) -> RoundReport:
    """The call was not made."""
    reason = DeferralReason.CIRCUIT if deferral.is_circuit else DeferralReason.RATE_LIMIT
    return RoundReport(action=action, outcome=Outcome.DEFERRED, lane=lane, deferred_by=reason)


def report_of_move(action: str, *, lane: str) -> RoundReport:
    """The work goes to this lane."""
    return RoundReport(action=action, outcome=Outcome.MOVED, lane=lane)


def report_of_call(
    planned: Planned[Any], answer: Any, *, before: AnyObject, after: AnyObject, lane: str, is_delivered: bool
) -> RoundReport:
    """The call was made. `answer` has a verdict if it went to a service broker."""
    verdict = getattr(answer, "verdict", None)
    outcome = Outcome.DONE if verdict is None else _OUTCOMES.get(verdict, Outcome.FAILED)
    return RoundReport(
        action=planned.action,
        outcome=outcome if is_delivered else Outcome.FAILED,
        lane=lane,
        mitigation=_end_of_mitigation(planned, before, after),
        rotation=_end_of_rotation(planned, before, after),
    )


def _end_of_mitigation(planned: Planned[Any], before: AnyObject, after: AnyObject) -> Outcome | None:
    was, now = _status(before), _status(after)
    if not (planned.traits.is_mitigation or getattr(was, "orphan_mitigation_in_progress", False)):
        return None
    if not now.orphan_mitigation_in_progress:
        return Outcome.DONE
    # It is asked again until it succeeds: each attempt that has come to nothing counts.
    return None if now.async_op_in_progress else Outcome.FAILED


def _end_of_rotation(planned: Planned[Any], before: AnyObject, after: AnyObject) -> Outcome | None:
    if not planned.traits.is_rotation:
        return None
    was, now = _status(before), _status(after)
    if now.last_rotation_time != was.last_rotation_time:
        return Outcome.DONE
    under_way = find_condition(now.conditions, ConditionType.RECONCILING)
    goes_on = under_way is not None and under_way.reason == BindingReason.ROTATING
    # Credentials of a binding that goes are not wanted any more, neither the old ones nor the new.
    return None if goes_on or after.metadata.deletion_timestamp else Outcome.FAILED


def _status(document: AnyObject) -> Any:
    return getattr(document, "status", None)
