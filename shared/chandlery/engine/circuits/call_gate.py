"""May this call be made now? Asked by the workers' loop for each call to a service broker that has a policy.

Asked twice: in the transaction that claims the round, where a call that is held back costs nothing more; and just
before the call, because one of several rounds that were claimed together may be the probe and the others may not.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.operation.deferral import Deferral, deferred_by_circuit, deferred_by_rate_limit, is_failure
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import ReconcileResult, circuit_key
from chandlery.retry.circuit import Circuit, Permit
from chandlery.retry.rate_limit import Turn
from chandlery.store.database import Clock, UnitOfWork
from chandlery.store.work.work_claims import Claim
from chandlery.store.work.work_queue import CLOCK_TOLERANCE

_NOT_WORTH_A_WAIT = timedelta(milliseconds=250)
"""Two transactions may disagree by less on what is now. The place is taken all the same, so the pace is kept."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The service broker that a call goes to."""

    lane: str
    policy: BrokerPolicy
    is_urgent: bool = False
    """A person wants it made now: it is never held back, and counts like any other."""


@dataclass
class Outcome:
    """What the caller fills in once there is an answer."""

    answer: Any = None


class CallGate:
    """Stands between the decisions of one kind of worker and its calls."""

    def __init__(self, circuits: CircuitBreakers, clock: Clock) -> None:
        self._circuits = circuits
        self._clock = clock

    async def deferral(self, unit: UnitOfWork, to: Destination, claim: Claim) -> Deferral | None:
        """Why a decided call is not made in this round; what it takes of a rate limit is part of the transaction."""
        if to.is_urgent:
            return None
        if self._circuits.blocking(to.lane, to.policy.circuit, unit.now) is not None:
            # Whoever closes the circuit now either sees this row wait, or has closed it already: look once more.
            await unit.wakes.lock_waits([circuit_key(to.lane)])
            circuit = self._circuits.blocking(to.lane, to.policy.circuit, unit.now)
            if circuit is not None:
                return _by_circuit(to, circuit, unit.now)
        if to.policy.rate is None:
            return None
        if claim.turn_at is not None:
            place = Turn(claim.turn_at, unit.now)
        else:
            place = await unit.rate_limits.take_turn(to.lane, to.policy.rate)
        return None if place.at <= unit.now + _slack(claim) else deferred_by_rate_limit(to.policy, place, now=unit.now)

    def begin(self, to: Destination) -> Permit | Deferral:
        """Whether the call may be made at this very moment; if so, it is to be made in `watched`."""
        now = self._clock()
        permit = Permit.CALL if to.is_urgent else self._circuits.begin(to.lane, to.policy.circuit, now)
        if permit != Permit.WAIT:
            return permit
        circuit = self._circuits.blocking(to.lane, to.policy.circuit, now)
        return _by_circuit(to, circuit, now) if circuit else Permit.CALL

    async def hold_circuits(self, unit: UnitOfWork, held_back: Sequence[Destination]) -> None:
        """Before `still_deferred`, for all that is written down together: whoever closes one of these comes after."""
        if held_back:
            await unit.wakes.lock_waits(sorted({circuit_key(to.lane) for to in held_back}))

    def still_deferred(self, unit: UnitOfWork, to: Destination, deferral: Deferral) -> Deferral:
        """What `begin` said, when it is written down: due at once if the circuit has closed since."""
        if self._circuits.blocking(to.lane, to.policy.circuit, unit.now) is not None:
            return deferral
        return replace(deferral, due_at=unit.now, waiting_for=None, is_shown=False)

    @contextmanager
    def watched(self, to: Destination, about: str, permit: Permit) -> Iterator[Outcome]:
        """Around a call about this object; however it ends, the circuit is told."""
        outcome = Outcome()
        try:
            yield outcome
        finally:
            answer = outcome.answer if isinstance(outcome.answer, Answer) else None
            is_probe = permit == Permit.PROBE
            moment = self._clock()
            self._circuits.ended(to.lane, to.policy.circuit, about, answer=answer, is_probe=is_probe, now=moment)


def with_kept_turn(change: ReconcileResult[Any], claim: Claim, *, now: datetime) -> ReconcileResult[Any]:
    """A round that goes on at once and has called nobody still has the place in the line that its object has taken."""
    due_at = change.next.due_at
    if claim.turn_at is None or change.next.turn_at is not None or due_at is None or due_at > now:
        return change
    return replace(change, next=replace(change.next, turn_at=claim.turn_at))


def deferred(change: ReconcileResult[Any], deferral: Deferral, claim: Claim) -> ReconcileResult[Any]:
    """Nothing was sent: the failures so far still count, and the place in line is kept."""
    return replace(change, next=replace(change.next, attempt=claim.attempt, turn_at=deferral.turn_at))


def woken_by_others(
    change: ReconcileResult[Any], to: Destination, answer: object, now: datetime
) -> ReconcileResult[Any]:
    """After a failure of the broker's own, any answer that it gives to others brings the object back early.

    Unless it asked for a pause, or the object waits for something else.
    """
    following = change.next
    if not isinstance(answer, Answer) or not is_failure(answer) or answer.retry_after_seconds:
        return change
    if to.policy.circuit.failures <= 0 or following.waiting_for or following.due_at is None or following.due_at <= now:
        return change
    return replace(change, next=replace(following, waiting_for=circuit_key(to.lane)))


def _by_circuit(to: Destination, circuit: Circuit, now: datetime) -> Deferral:
    # To spread work needs no secrecy.
    spread = random.random()  # noqa: S311
    return deferred_by_circuit(to.policy, circuit, key=circuit_key(to.lane), now=now, spread=spread)


def _slack(claim: Claim) -> timedelta:
    # A place that was waited for counts as reached as soon as the object may be claimed.
    return CLOCK_TOLERANCE if claim.turn_at is not None else _NOT_WORTH_A_WAIT
