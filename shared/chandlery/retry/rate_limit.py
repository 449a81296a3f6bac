"""The token bucket: how soon the next call to a service broker may be made. Pure; the caller stores the moment.

It is kept as one moment, the time at which the bucket would be full again (the generic cell rate algorithm). Whoever
finds the bucket empty is given a place in line, so that nobody who came later is served earlier.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FARTHEST_TURN = timedelta(minutes=10)
"""Nobody is given a place beyond this: the rate may change, and who stands there may be gone by then."""


@dataclass(frozen=True, kw_only=True)
class CallRate:
    """Calls per second in the long run, and how many may be made at once after a pause."""

    per_second: float
    burst: int = 1

    @property
    def interval(self) -> timedelta:
        """Between two calls in the long run."""
        return timedelta(seconds=1 / self.per_second)


@dataclass(frozen=True)
class Turn:
    """When a call may be made, and what to store for the next one."""

    at: datetime
    full_at: datetime
    is_kept: bool = True
    """False if the line is too long: then nothing was taken, and the caller has to ask again."""


def next_turn(rate: CallRate, full_at: datetime | None, now: datetime) -> Turn:
    """The earliest moment, now or later, at which one more call keeps to the pace."""
    full = max(full_at or now, now)
    at = max(now, full - rate.interval * (rate.burst - 1))
    if at - now > FARTHEST_TURN:
        return Turn(now + FARTHEST_TURN, full, is_kept=False)
    return Turn(at, full + rate.interval)
