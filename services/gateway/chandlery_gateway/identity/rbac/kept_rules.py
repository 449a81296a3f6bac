"""Who follows roles and bindings along with the change log: `RuleKeeper`, or nobody where they are somebody else's."""

from collections.abc import Sequence
from typing import Protocol

from chandlery.store.objects.changes import LoggedChange


class KeptRules(Protocol):
    """What `watch_hub` tells of changes."""

    applied: set[int]
    """Changes beyond the horizon that have been absorbed before their turn."""
    must_load: bool
    """Whether something may have been missed."""

    async def load(self) -> None:
        """Read everything, unless it is known already and nothing can have been missed."""

    def lose(self) -> None:
        """Something may have been missed: the next look begins with reading everything."""

    async def absorb(self, changes: Sequence[LoggedChange], *, begun: float, passed: int) -> None:
        """Go on by these changes, in order; those at or before `passed` are never told of again."""


class NoRules:
    """The roles are a cluster's, which is asked for each decision."""

    must_load = False

    def __init__(self) -> None:
        self.applied: set[int] = set()

    async def load(self) -> None:
        """See KeptRules."""

    def lose(self) -> None:
        """See KeptRules."""

    async def absorb(self, changes: Sequence[LoggedChange], *, begun: float, passed: int) -> None:
        """See KeptRules."""
