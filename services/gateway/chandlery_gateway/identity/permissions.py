"""Who asks, and whether they may: the first thing that every endpoint does with a request.

The user comes from the token (`authentication`) or is whom they ask to be (`impersonation`); the authorizer answers as
it does in access reviews, so that `kubectl auth can-i` never says anything else than the request itself.
"""

from typing import Final

from starlette.requests import Request

from chandlery.model.faults import Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery_gateway.identity.authentication import Authenticator
from chandlery_gateway.identity.authorization import Access, Authorizer
from chandlery_gateway.identity.impersonation import acting_user
from chandlery_gateway.kube.apply.field_shapes import STATUS

_VERBS: Final = {
    "list": "list",
    "watch": "watch",
    "get": "get",
    "create": "create",
    "replace": "update",
    "patch": "patch",
    "delete": "delete",
    "delete_collection": "deletecollection",
    "replace_status": "update",
    "patch_status": "patch",
}
"""Of the endpoints, as Kubernetes' RBAC calls them."""


class Permissions:
    """Asks for every request."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def user(self, request: Request) -> UserInfo:
        """Who the request counts as. Raises Unauthorized, and what `acting_user` raises."""
        return acting_user(self._authenticator.sender(request.scope), request.headers)

    async def path(self, request: Request) -> UserInfo:
        """The user, who may ask for this path that is no resource; raises what `user` does and Forbidden."""
        access = Access(user=self.user(request), verb=request.method.lower(), path=request.url.path)
        await self.require(access)
        return access.user

    async def require(self, access: Access) -> None:
        """Raises Forbidden, in Kubernetes' words, unless the user may do this."""
        decision = await self._authorizer.decide(access)
        if not decision.allowed:
            raise Forbidden(_refusal(access, decision.reason))


def access_to(kind: Kind, endpoint: str, *, user: UserInfo, namespace: str, name: str) -> Access:
    """What a request to this endpoint of a kind wants to do; `get` on the path of the status reads the whole object."""
    return Access(
        user=user,
        verb=_VERBS[endpoint],
        group=kind.group,
        version=kind.version,
        resource=kind.plural,
        subresource=STATUS if endpoint.endswith(f"_{STATUS}") else "",
        namespace=namespace,
        name=name,
    )


def _refusal(access: Access, reason: str) -> str:
    if access.path:
        words = f'User "{access.user.username}" cannot {access.verb} path "{access.path}"'
    else:
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        place = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        words = (
            f'User "{access.user.username}" cannot {access.verb} resource "{resource}" '
            f'in API group "{access.group}" {place}'
        )
    return f"{words}: {reason}" if reason else words
