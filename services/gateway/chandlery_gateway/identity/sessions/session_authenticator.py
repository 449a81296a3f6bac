"""Knows users by the cookie of their session. A request with a bearer token goes by that alone, as ever.

Part of the pipeline only where it is put around another authenticator; then `app.py` has the routes to log in, too.
Every request with a cookie has to come from a page of ours, and one that changes something needs the token of its
session besides: else it is refused with 403.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from chandlery.model.faults import Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import Authenticator, TokenVerifier
from chandlery_gateway.identity.sessions.same_origin import changes_something, why_foreign
from chandlery_gateway.identity.sessions.sessions import COOKIE, CSRF_HEADER, Session, Sessions

SESSION: Final = "chandlery.session"
"""Where the ASGI scope of a request has its session, if that is what it is known by."""
_CREDENTIALS: Final = b"authorization"


class SessionAuthenticator:
    """See Authenticator, TokenVerifier. Asks another one who has the token of the session."""

    def __init__(self, authenticator: Authenticator, sessions: Sessions) -> None:
        self._authenticator = authenticator
        self.sessions = sessions

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """See Authenticator. Raises Forbidden for a request that a page of somebody else may have made."""
        headers = Headers(scope=scope)
        cookie = None if headers.get("authorization") is not None else cookie_of(headers)
        if cookie is None:
            return await self._authenticator.authenticate(scope)
        session = self.sessions.open(cookie)
        if session is None:
            return None
        self._check(scope["method"], headers, session)
        scope[SESSION] = session
        bearer = (_CREDENTIALS, f"Bearer {session.token}".encode())
        return await self._authenticator.authenticate({**scope, "headers": [*scope["headers"], bearer]})

    async def verify(self, token: str) -> UserInfo | None:
        """See TokenVerifier: sessions or not, whose a bearer token is remains the question of the other one."""
        return await self._authenticator.verify(token) if isinstance(self._authenticator, TokenVerifier) else None

    def _check(self, method: str, headers: Headers, session: Session) -> None:
        reason = why_foreign(method, headers, self.sessions.origins)
        if reason:
            raise Forbidden(f"a request with a session's cookie was refused: {reason}")
        if changes_something(method) and not self.sessions.is_csrf_token(headers.get(CSRF_HEADER, ""), session):
            raise Forbidden(
                "a request with a session's cookie was refused: it needs the header X-CSRF-Token, with the "
                "token that `GET /session` answers"
            )


def cookie_of(headers: Headers) -> str | None:
    """The cookie of a session; None without, and of several that are called so none."""
    pairs = (pair.strip().partition("=") for line in headers.getlist("cookie") for pair in line.split(";"))
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else None
