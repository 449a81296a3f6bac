"""How long a token of a service account may be valid. Pure; the bounds are those of Kubernetes' TokenRequest."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

SHORTEST_SECONDS: Final = 600
DEFAULT_SECONDS: Final = 3600
_LONGEST_SECONDS: Final = 2**32
MOST_TOKENS: Final = 1000
"""Of one account, that have not expired: each is a row in the database."""


def lifetime_problems(seconds: int) -> Iterator[str]:
    """What is wrong with a lifetime that somebody asks for, in Kubernetes' words."""
    if seconds < SHORTEST_SECONDS:
        yield "may not specify a duration less than 10 minutes"
    if seconds > _LONGEST_SECONDS:
        yield "may not specify a duration larger than 2^32 seconds"


def granted_lifetime(seconds: int, *, longest_hours: float) -> timedelta:
    """What is given to who asks for so many seconds: at most what the operator allows, but ten minutes in any case."""
    longest = max(SHORTEST_SECONDS, int(longest_hours * 3600))
    return timedelta(seconds=min(seconds, longest))
