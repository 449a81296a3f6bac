"""The authorizer of the standalone gateway as it is today: whoever has a token may do everything."""

from typing import Final

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access, Decision, PathRule, ResourceRule, Rules

_ANONYMOUS: Final = "system:anonymous"
_UNAUTHENTICATED: Final = "system:unauthenticated"
_READ: Final = "get"
_OPEN_PATHS: Final = ("/livez", "/readyz", "/healthz", "/version", "/docs")
_EVERYTHING: Final = ("*",)


class AllowAuthenticated:
    """Allows everything to everybody but those without a token: whom only an administrator can act as, or ask about."""

    async def decide(self, access: Access) -> Decision:
        """See Authorizer."""
        if access.verb == _READ and _is_open(access.path):
            return Decision(allowed=True, reason="this path is open to everybody, even without a token")
        if _is_known(access.user):
            return Decision(allowed=True, reason="every user with a valid token may do everything")
        return Decision(allowed=False, reason="a token is required")

    async def rules(self, user: UserInfo, namespace: str) -> Rules:  # noqa: ARG002 - the same in every namespace
        """See Authorizer."""
        if not _is_known(user):
            return Rules(
                paths=(PathRule(verbs=(_READ,), paths=(*_OPEN_PATHS, *(f"{path}/*" for path in _OPEN_PATHS))),)
            )
        return Rules(
            resources=(ResourceRule(verbs=_EVERYTHING, groups=_EVERYTHING, resources=_EVERYTHING),),
            paths=(PathRule(verbs=_EVERYTHING, paths=_EVERYTHING),),
        )


def _is_open(path: str) -> bool:
    return any(path == known or path.startswith(f"{known}/") for known in _OPEN_PATHS)


def _is_known(user: UserInfo) -> bool:
    return user.username != _ANONYMOUS and _UNAUTHENTICATED not in (user.groups or ())
