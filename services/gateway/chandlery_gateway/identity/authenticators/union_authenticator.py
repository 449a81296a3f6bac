"""All ways to know a user, asked in Kubernetes' order: the certificate of the connection, then the bearer token.

A certificate that is accepted settles it, whatever token comes with it. Of the verifiers of tokens each knows its own
kind: the first that does not pass decides. Everybody who is known is in the group `system:authenticated`.

Source: Kubernetes, "Authenticating" (https://kubernetes.io/docs/reference/access-authn-authz/authentication/).
"""

from collections.abc import Sequence

from starlette.types import Scope

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import (
    FAILED_LOGIN,
    Authenticator,
    LoginRefused,
    TokenVerifier,
    bearer_token,
    with_authenticated_group,
)


class UnionAuthenticator:
    """See Authenticator."""

    def __init__(self, *, certificates: Authenticator | None, verifiers: Sequence[TokenVerifier]) -> None:
        """`certificates` knows users by the certificate of their connection; None if nobody is asked for one."""
        self._certificates = certificates
        self._verifiers = verifiers

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """See Authenticator. Why somebody is refused is noted in the scope."""
        if self._certificates is not None and (user := await self._certificates.authenticate(scope)) is not None:
            return with_authenticated_group(user)
        token = bearer_token(scope)
        if token is None:
            return None
        try:
            return await self.verify(token)
        except LoginRefused as refused:
            scope[FAILED_LOGIN] = refused.reason
            return None

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier: that of the first who knows the token."""
        for verifier in self._verifiers:
            if (user := await verifier.verify(token)) is not None:
                return with_authenticated_group(user)
        return None
