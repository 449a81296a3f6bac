"""Knows users by the client certificate of their connection: the common name is the user, organizations are groups.

Source: Kubernetes, "Authenticating", "X.509 client certificates". The chain has been verified in the handshake; what a
request says in its headers plays no part. Stricter than Kubernetes in one thing: a certificate has to say itself that
it is for clients.

A browser that has a certificate shows it with each request, whatever page has made it. A change that a page of another
origin has made is refused, as with the cookie of a session.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.types import Scope

from chandlery.model.faults import Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE, PresentedCertificate
from chandlery_gateway.identity.authentication import CREDENTIAL_ID, FAILED_LOGIN, LoginFailure
from chandlery_gateway.identity.sessions.same_origin import is_foreign_change


def _now() -> datetime:
    return datetime.now(UTC)


class CertificateAuthenticator:
    """See Authenticator."""

    def __init__(self, *, now: Callable[[], datetime] = _now) -> None:
        self._now = now

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """See Authenticator. A certificate that is not accepted is noted in the scope; a token may still do.

        Raises Forbidden for a change that a page of somebody else has a browser make.
        """
        shown: PresentedCertificate | None = scope.get(CLIENT_CERTIFICATE)
        if shown is None:
            return None
        names = (shown.common_name, *shown.organizations)
        if not shown.is_for_clients or not all(name and name.isprintable() for name in names):
            scope[FAILED_LOGIN] = LoginFailure.CERTIFICATE
            return None
        if not shown.is_valid(self._now()):
            scope[FAILED_LOGIN] = LoginFailure.EXPIRED
            return None
        if is_foreign_change(scope["method"], Headers(scope=scope)):
            raise Forbidden("a request with a client certificate was refused: it was made by a page of another origin")
        return UserInfo(
            username=shown.common_name,
            groups=shown.organizations,
            extra={CREDENTIAL_ID: (f"X509SHA256={shown.fingerprint}",)},
        )
