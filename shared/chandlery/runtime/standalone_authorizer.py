"""The authorizer of the standalone gateway as it is today: whoever has a token may do everything."""

from typing import Final

from chandlery.cluster.authorization import Access, Decision, PathRule, ResourceRule, Rules
from chandlery.model.instances import UserInfo

_ANONYMOUS: Final = "system:anonymous"
_UNAUTHENTICATED: Final = "system:unauthenticated"
_EVERYTHING: Final = ("*",)


class EveryUserMay:
    """Allows everything to everybody but those without a token, about whom only access reviews can ask."""

    async def decide(self, access: Access) -> Decision:
        """See Authorizer."""
        if _is_known(access.user):
            return Decision(allowed=True, reason="every user with a token may do everything here")
        return Decision(allowed=False, reason="without a token nothing may be done here")

    async def rules(self, user: UserInfo, namespace: str) -> Rules:  # noqa: ARG002 - the same in every namespace
        """See Authorizer."""
        if not _is_known(user):
            return Rules()
        return Rules(
            resources=(ResourceRule(verbs=_EVERYTHING, groups=_EVERYTHING, resources=_EVERYTHING),),
            paths=(PathRule(verbs=_EVERYTHING, paths=_EVERYTHING),),
        )


def _is_known(user: UserInfo) -> bool:
    return user.username != _ANONYMOUS and _UNAUTHENTICATED not in (user.groups or ())
