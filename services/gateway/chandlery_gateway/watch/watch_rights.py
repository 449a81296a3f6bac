"""Whether a watch may go on: nobody goes on seeing what they may no longer, or by credentials that are over.

What its user may do is asked anew whenever a rule has changed. Whether the credentials that it began with still make
them that user is asked twice a second, like for a request of its own: a token may be revoked, and tokens and
certificates expire.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from chandlery.model.faults import Expired, Unavailable
from chandlery_gateway.identity.authorization import Access, Authorizer, Decision, Reach, check_allowed

_KNOWN_SECONDS: Final = 0.5
_UNSURE_SECONDS: Final = 120.0
"""So long a watch that has nothing to tell stays while nobody can say what its user may do: a restart of whoever knows.
Without it all watches would end at once, and begin anew at once, on what has just come back. It ends in the end, since
an open stream says to its client that there is nothing new."""
_PAUSE_SECONDS: Final = 5.0
"""Before that is asked again, unless something is to be told."""


class WatchRights:
    """What the user of one watch may do."""

    def __init__(
        self, authorizer: Authorizer, *, watching: Access, getting: Access, check_known: Callable[[], Awaitable[None]]
    ) -> None:
        """`watching` is what the watch does, `getting` reads what it is about one by one.

        `check_known` raises a fault unless the credentials of the watch are still good.
        """
        self._authorizer = authorizer
        self._watching = watching
        self._getting = getting
        self._check_known = check_known
        self._known_at = time.monotonic()
        self._revision = -1
        self._unsure_since: float | None = None
        self._asked_again_at = 0.0
        self._reach: Reach | None = None

    @property
    def is_sure(self) -> bool:
        """Whether it could be asked what the user may do when it was to be."""
        return self._unsure_since is None

    async def begin(self) -> Reach:
        """The objects that the user may get now."""
        self._revision = self._authorizer.revision
        self._reach = await self._authorizer.reach(self._getting)
        return self._reach

    async def check(self, *, tells: bool = True) -> None:
        """To be called before anything is told, and now and then; costs little while nothing changes.

        While nothing is to be told, as `tells` says, whoever knows users may be away, and for a while whoever knows
        what they may do.

        Raises:
            Unauthorized: the credentials are no longer those of this user.
            Forbidden: the user may no longer watch this.
            Expired: they may see more of it now, or less; the client lists again.
            Unavailable: it cannot be asked.
        """
        await self._check_credentials(tells=tells)
        revision = self._authorizer.revision
        if revision == self._revision and self._unsure_since is None:
            return
        now = time.monotonic()
        if not tells and now < self._asked_again_at:
            return
        try:
            await self._check_rights()
        except Unavailable:
            since = self._unsure_since = now if self._unsure_since is None else self._unsure_since
            # From the end of the question, which may have taken long.
            self._asked_again_at = time.monotonic() + _PAUSE_SECONDS
            if tells or now - since >= _UNSURE_SECONDS:
                raise
            return
        self._unsure_since, self._asked_again_at = None, 0.0
        self._revision = revision

    async def _check_rights(self) -> None:
        watching = self._watching
        reach = await self._authorizer.reach(watching)
        named = bool(watching.name) and reach.has(watching.namespace, watching.name)
        check_allowed(watching, Decision(allowed=reach.is_everything or named))
        if await self._authorizer.reach(self._getting) != self._reach:
            raise Expired("what you may see here has changed; list again and watch from there")

    async def _check_credentials(self, *, tells: bool) -> None:
        now = time.monotonic()
        if now - self._known_at < _KNOWN_SECONDS:
            return
        try:
            await self._check_known()
        except Unavailable:
            if tells:
                raise
        else:
            self._known_at = now
