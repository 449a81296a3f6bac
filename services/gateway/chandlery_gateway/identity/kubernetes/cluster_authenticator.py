"""All ways to know a user behind a cluster's kube-apiserver, in its order: front proxy, client certificate, token.

Comes in: the ASGI scope, with the verified certificate of its connection. Goes out: the user, as kube-apiserver would
know them. Called by: the pipeline. What the front proxy says counts only with a certificate that one of *its*
authorities has signed, for a name that may be a front proxy; whoever has none may send such headers, and they are
nothing. They stay in the scope, since a watch is judged by them again and again; nobody else reads them.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from starlette.types import Scope

from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE, PresentedCertificate
from chandlery_gateway.identity.authentication import (
    FAILED_LOGIN,
    FORWARDED,
    LoginFailure,
    LoginRefused,
    TokenVerifier,
    bearer_token,
    with_authenticated_group,
)
from chandlery_gateway.identity.authenticators.certificate_authenticator import CertificateAuthenticator
from chandlery_gateway.identity.kubernetes.forwarded_addresses import forwarded_addresses
from chandlery_gateway.identity.kubernetes.proxied_users import proxied_user
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig


class CurrentTrust(Protocol):
    """What the cluster says about whom to trust, as it says it now."""

    @property
    def config(self) -> TrustConfig:
        """The latest that could be read."""


def _now() -> datetime:
    return datetime.now(UTC)


class ClusterAuthenticator:
    """See Authenticator, and TokenVerifier."""

    def __init__(self, trust: CurrentTrust, *, tokens: TokenVerifier, now: Callable[[], datetime] = _now) -> None:
        self._trust = trust
        self._tokens = tokens
        self._now = now
        self._certificates = CertificateAuthenticator(now=now)

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """See Authenticator. Why somebody is refused is noted in the scope."""
        try:
            user = await self._by_certificate(scope)
            if user is None and (token := bearer_token(scope)) is not None:
                user = await self._tokens.verify(token)
        except LoginRefused as refused:
            scope[FAILED_LOGIN] = refused.reason
            return None
        return with_authenticated_group(user) if user is not None else None

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier."""
        user = await self._tokens.verify(token)
        return with_authenticated_group(user) if user is not None else None

    async def _by_certificate(self, scope: Scope) -> UserInfo | None:
        shown: PresentedCertificate | None = scope.get(CLIENT_CERTIFICATE)
        if shown is None:
            return None
        config, now = self._trust.config, self._now()
        is_proxy = config.takes_for_front_proxy(shown, now)
        if is_proxy:
            scope[FORWARDED] = forwarded_addresses(scope["headers"])
            if (user := proxied_user(scope["headers"], config)) is not None:
                return user
        if config.clients.vouch_for(shown, now):
            return await self._certificates.authenticate(scope)
        if not is_proxy:
            scope[FAILED_LOGIN] = LoginFailure.CERTIFICATE
        return None
