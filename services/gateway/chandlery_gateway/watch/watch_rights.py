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
        self._reach: Reach | None = None

    async def begin(self) -> Reach:
        """The objects that the user may get now."""
        self._revision = self._authorizer.revision
        self._reach = await self._authorizer.reach(self._getting)
        return self._reach

    async def check(self, *, tells: bool = True) -> None:
        """To be called before anything is told, and now and then; costs little while nothing changes.

        While nothing is to be told, as `tells` says, whoever knows users may be away.

        Raises:
            Unauthorized: the credentials are no longer those of this user.
            Forbidden: the user may no longer watch this.
            Expired: they may see more of it now, or less; the client lists again.
            Unavailable: it cannot be asked.
        """
        await self._check_credentials(tells=tells)
        revision = self._authorizer.revision
        if revision == self._revision:
            return
        watching = self._watching
        reach = await self._authorizer.reach(watching)
        named = bool(watching.name) and reach.has(watching.namespace, watching.name)
        check_allowed(watching, Decision(allowed=reach.is_everything or named))
        if await self._authorizer.reach(self._getting) != self._reach:
            raise Expired("what you may see here has changed; list again and watch from there")
        self._revision = revision

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
