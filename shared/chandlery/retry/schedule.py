"""The persisted schedule: when a resource is looked at again. Pure; the caller stores the moment."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Exponential back-off with jitter, so that what failed together does not come back together."""

    initial: timedelta = timedelta(seconds=1)
    coefficient: float = 2.0
    maximum: timedelta = timedelta(minutes=20)
    jitter: float = 0.2
    """Share of the delay that is drawn at random: 0.2 gives 90% to 110%."""

    def delay(self, attempt: int, *, draw: float | None = None) -> timedelta:
        """The wait after the given number of failed attempts (1 is the first). `draw` in [0, 1) fixes the jitter."""
        exponent = min(max(attempt - 1, 0), 64)
        plain = min(self.initial.total_seconds() * self.coefficient**exponent, self.maximum.total_seconds())
        # Jitter needs no secrecy.
        spread = (random.random() if draw is None else draw) - 0.5  # noqa: S311
        return timedelta(seconds=plain * (1 + self.jitter * spread))


@dataclass(frozen=True, kw_only=True)
class PollSchedule:
    """Pauses between polls: exponential up to a bound, which grows with the time that the operation takes."""

    initial: timedelta = timedelta(seconds=1)
    coefficient: float = 1.5
    early_maximum: timedelta = timedelta(seconds=10)
    maximum: timedelta = timedelta(minutes=1)
    patience: float = 1 / 60
    """Share of the time so far by which an end may be noticed late, between the two bounds."""
    jitter: float = 0.1

    def delay(self, polls: int, *, elapsed: timedelta = timedelta(0), draw: float | None = None) -> timedelta:
        """The wait before the poll of this number (1 is the first), so long after the operation began."""
        bound = min(max(self.early_maximum, elapsed * self.patience), self.maximum)
        # The jitter may only shorten: the bounds are promised.
        steps = Schedule(initial=self.initial, coefficient=self.coefficient, maximum=bound, jitter=self.jitter)
        return min(steps.delay(polls, draw=draw), bound)


BROKER_CALLS = Schedule()
"""After a call that failed."""
POLLS = PollSchedule()
"""Between polls of an operation: 10 seconds late at most for ten minutes, where the reference was up to 17 minutes."""
DEPENDENCIES = Schedule(initial=timedelta(seconds=5), maximum=timedelta(minutes=5))
"""A safety net under the wake-ups: what waits for another object is woken by it."""
