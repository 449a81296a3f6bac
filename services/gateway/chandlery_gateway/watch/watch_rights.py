"""Whether a watch may go on, asked anew whenever a rule has changed: nobody goes on seeing what they may no longer."""

from chandlery.model.faults import Expired
from chandlery_gateway.identity.authorization import Access, Authorizer, Decision, Reach, check_allowed


class WatchRights:
    """What the user of one watch may do."""

    def __init__(self, authorizer: Authorizer, *, watching: Access, getting: Access) -> None:
        """`watching` is what the watch does, `getting` reads what it is about one by one."""
        self._authorizer = authorizer
        self._watching = watching
        self._getting = getting
        self._revision = -1
        self._reach: Reach | None = None

    async def begin(self) -> Reach:
        """The objects that the user may get now."""
        self._revision = self._authorizer.revision
        self._reach = await self._authorizer.reach(self._getting)
        return self._reach

    async def check(self) -> None:
        """To be called before anything is told; costs nothing while no rule changes.

        Raises:
            Forbidden: the user may no longer watch this.
            Expired: they may see more of it now, or less; the client lists again.
        """
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
