"""The circuit breaker: when a service broker that fails is left alone, and how it is found to be well again. Pure.

Closed, all calls are made. After so many failures in a row, about more than one object, it opens and no call is made.
When its time is up it is ripe: one call, the probe, is let through. If that is answered the circuit closes, else it
stays open for as long again. The caller gives the time, keeps the value, and says what became of each call.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

_FEWEST_OBJECTS = 3
"""One instance that its broker chokes on says little of the broker; its own back-off is enough for it."""


class CircuitState(StrEnum):
    """The three states of the pattern, as people are told of them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Permit(StrEnum):
    """Whether a call may be made."""

    CALL = "call"
    PROBE = "probe"
    WAIT = "wait"


@dataclass(frozen=True, kw_only=True)
class CircuitPolicy:
    """How easily one service broker's circuit opens."""

    failures: int = 10
    """In a row; 0 never opens it."""
    open_for: timedelta = timedelta(seconds=30)
    """Until a probe."""
    probe_for: timedelta = timedelta(minutes=2)
    """After that, a probe of which nothing was heard counts as never made. Longer than a call may take."""
    revision: str = ""
    """Of what the broker is declared as: another one begins with a closed circuit."""


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """What is known of one service broker in one process."""

    policy: CircuitPolicy
    failures: int = 0
    objects: frozenset[str] = frozenset()
    """Some of those that the failures were about; not more than it takes to open."""
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    """When it is ripe; None while it is closed."""
    probing_until: datetime | None = None
    """While a probe is under way."""
    last_failure: str = ""
    """For people."""

    @property
    def is_open(self) -> bool:
        """Whether calls are held back, but for a probe."""
        return self.retry_at is not None

    def state(self, now: datetime) -> CircuitState:
        """What people call it."""
        if self.retry_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.retry_at else CircuitState.HALF_OPEN

    def permit(self, now: datetime) -> Permit:
        """Whether a call that begins now may be made; whoever makes a probe says so with `probed`."""
        if self.retry_at is None:
            return Permit.CALL
        is_probed = self.probing_until is not None and now < self.probing_until
        return Permit.WAIT if now < self.retry_at or is_probed else Permit.PROBE

    def probed(self, now: datetime) -> "Circuit":
        """A probe has begun."""
        return replace(self, probing_until=now + self.policy.probe_for)

    def unprobed(self) -> "Circuit":
        """The probe came to nothing that would say anything: another one may be made."""
        return replace(self, probing_until=None)

    def hastened(self, now: datetime) -> "Circuit":
        """Somebody else was answered: a probe may be made now."""
        return replace(self, retry_at=min(self.retry_at, now)) if self.retry_at else self

    def succeeded(self) -> "Circuit":
        """The service broker has answered."""
        return Circuit(policy=self.policy)

    def failed(self, now: datetime, about: str, *, why: str, is_probe: bool = False) -> "Circuit":
        """A call about this object was not answered, or with a failure of the broker's own."""
        if self.policy.failures <= 0:
            return self
        if self.retry_at is not None:
            # Calls from before it opened tell nothing new; the probe does.
            again = replace(self, retry_at=now + self.policy.open_for, probing_until=None, last_failure=why)
            return again if is_probe else self
        objects = self.objects if len(self.objects) >= _FEWEST_OBJECTS else self.objects | {about}
        counted = replace(self, failures=self.failures + 1, objects=objects, last_failure=why)
        if counted.failures < self.policy.failures or len(objects) < min(_FEWEST_OBJECTS, self.policy.failures):
            return counted
        return replace(counted, opened_at=now, retry_at=now + self.policy.open_for)


@dataclass(frozen=True, kw_only=True)
class OpenCircuit:
    """What others are told of a circuit that is open in some process."""

    opened_at: datetime
    retry_at: datetime
    message: str
    """Why, for people."""
