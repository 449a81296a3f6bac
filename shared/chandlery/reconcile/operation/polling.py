"""Polling the last operation as OSB has it: what an answer says, when to ask again, and when to stop. Pure.

Source: OSB v2.17, "Polling Last Operation" and "Polling Interval and Duration". The same for instances, for bindings
and for what goes on beside a binding that is ready; what follows from it is the business of each.
"""

import random
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.policies.broker_policy import BrokerPolicy

UNCLEAR_POLLS: Final = 10
"""So many in a row, and a deletion is asked for once more: the broker may have forgotten the operation."""
_SPREAD: Final = 0.03
_CLEAR: Final = (Verdict.ACCEPTED, Verdict.IN_PROGRESS)


class PollResult(Enum):
    """What is known of an operation after a poll."""

    SUCCEEDED = auto()
    FAILED = auto()
    """The broker says so."""
    TIMED_OUT = auto()
    """It has not ended in the time that it has."""
    IN_PROGRESS = auto()
    UNCLEAR = auto()
    """The answer says nothing of the operation, which is polled on."""


def result_of_poll(answer: Answer, *, is_deletion: bool, is_time_over: bool) -> PollResult:
    """All but the three states of OSB, and 410 to a deletion, is no answer yet."""
    if answer.verdict == Verdict.SUCCEEDED or (is_deletion and answer.verdict == Verdict.GONE):
        return PollResult.SUCCEEDED
    if answer.verdict == Verdict.OPERATION_FAILED:
        return PollResult.FAILED
    if is_time_over:
        return PollResult.TIMED_OUT
    return PollResult.IN_PROGRESS if answer.verdict == Verdict.IN_PROGRESS else PollResult.UNCLEAR


def poll_deadline(offering: Offering | Unresolved | None, policy: BrokerPolicy, now: datetime) -> float:
    """Unix time at which an operation counts as failed: the plan's maximum, within what this platform allows."""
    seconds = policy.give_up_after.total_seconds()
    if isinstance(offering, Offering) and offering.plan.spec.maximum_polling_duration:
        seconds = min(seconds, offering.plan.spec.maximum_polling_duration)
    return now.timestamp() + seconds


def unclear_polls(before: int, answer: Answer) -> int:
    """How many answers in a row say nothing of the operation. That there was none at all says nothing of it either."""
    return 0 if answer.verdict in _CLEAR else before + (answer.status is not None)


def poll_pause(
    policy: BrokerPolicy,
    polls: int,
    *,
    started_at: datetime,
    until: float | None,
    now: datetime,
    retry_after_seconds: float | None,
) -> timedelta:
    """A short pause or the one that the broker asks for (`Retry-After`), but not beyond the time of the operation.

    What it asks for is lengthened by a little, so that operations that have begun together are not polled together.
    """
    plain = policy.polls.delay(polls, elapsed=now - started_at)
    # To spread work needs no secrecy.
    asked = (retry_after_seconds or 0.0) * (1 + _SPREAD * random.random())  # noqa: S311
    pause = max(plain, timedelta(seconds=asked))
    if until is None:
        return min(pause, policy.give_up_after)
    return min(pause, timedelta(seconds=max(0.0, until - now.timestamp())))
