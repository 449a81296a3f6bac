"""Why a call to a service broker is not made now, in words for people, and when it is. Pure.

A worker that may not make the call that its state machine asked for hands one of these to the reconciler instead of an
answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chandlery.model.objects.metadata import to_timestamp
from chandlery.model.objects.reasons import InstanceReason
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import Requeue
from chandlery.retry.circuit import Circuit
from chandlery.retry.rate_limit import Turn

_SHOWN_FROM = timedelta(seconds=5)
"""A shorter wait for a turn is not worth a write that everybody who watches would see."""
_SAFETY_NET = timedelta(minutes=2)
"""Under the wake-up when a circuit closes: whoever holds the circuit may die."""
_FAILURES = frozenset({Verdict.UNREACHABLE, Verdict.TIMED_OUT, Verdict.BROKEN})


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """A call is put off. Nothing was sent, and it counts as no attempt."""

    due_at: datetime
    """When to look again at the latest."""
    next_at: datetime
    """When the broker is called next, for people."""
    message: str
    is_circuit: bool
    """Whether the broker fails; else it is only this call's turn later."""
    is_shown: bool = True
    waiting_for: str | None = None
    """The wake-up key that brings the object back early."""
    turn_at: datetime | None = None
    """The place in line that is kept."""

    @property
    def reason(self) -> str:
        """The reason of the condition that tells of it, of an instance and of a binding alike."""
        return InstanceReason.BROKER_CIRCUIT_OPEN if self.is_circuit else InstanceReason.BROKER_RATE_LIMITED

    def requeue(self, *, attempt: int) -> Requeue:
        """Come back when the call may be made."""
        return Requeue(due_at=self.due_at, attempt=attempt, waiting_for=self.waiting_for)


def deferred_by_circuit(policy: BrokerPolicy, circuit: Circuit, *, key: str, now: datetime, spread: float) -> Deferral:
    """`spread` in [0, 1) keeps what waits together from coming back together."""
    next_at = max(circuit.retry_at or now, now)
    message = (
        f'The service broker "{policy.name}" is paused, because its last {circuit.failures} calls failed '
        f"({circuit.last_failure}). A probe is sent at {to_timestamp(next_at)}; calls resume automatically "
        "when a probe is answered"
    )
    due_at = next_at + _SAFETY_NET * (1 + spread)
    return Deferral(due_at=due_at, next_at=next_at, message=message, is_circuit=True, waiting_for=key)


def deferred_by_rate_limit(policy: BrokerPolicy, place: Turn, *, now: datetime) -> Deferral:
    """The broker has a rate limit, and others are first."""
    rate = policy.rate.per_second if policy.rate else 0.0
    turn = f"is at {to_timestamp(place.at)}" if place.is_kept else f"is later than {to_timestamp(place.at)}"
    message = (
        f'The service broker "{policy.name}" takes {rate:g} requests in a second (spec.rateLimit), and '
        f"others are ahead: the turn of this one {turn}"
    )
    return Deferral(
        due_at=place.at,
        next_at=place.at,
        message=message,
        is_circuit=False,
        is_shown=place.at - now >= _SHOWN_FROM,
        turn_at=place.at if place.is_kept else None,
    )


def is_failure(answer: Answer) -> bool:
    """Whether the answer, or its lack, says that the service broker is not well: 4xx says that it is."""
    return answer.verdict in _FAILURES


def is_sign_of_life(answer: Answer) -> bool:
    """Whether the service broker has answered, and not with a failure of its own."""
    return answer.status is not None and not is_failure(answer)
