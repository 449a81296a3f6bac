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


BROKER_CALLS = Schedule()
"""After a call that failed."""
POLLS = Schedule(initial=timedelta(seconds=1), coefficient=1.5, maximum=timedelta(seconds=30), jitter=0.1)
"""Between polls of an operation: never more than half a minute late, where the reference was up to 17 minutes."""
DEPENDENCIES = Schedule(initial=timedelta(seconds=5), maximum=timedelta(minutes=5))
"""A safety net under the wake-ups: what waits for another object is woken by it."""
