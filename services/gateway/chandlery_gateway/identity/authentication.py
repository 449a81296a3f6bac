"""Who sends a request: the first question of the pipeline, asked once for each request. The answer stays in its scope.

An authenticator knows users by something that a request carries: the certificate of its connection or a bearer token,
one day also the headers of an API server in front. It is given the ASGI scope, where all of these are, and may have to
ask somebody far away. Those who know users by tokens alone are verifiers, and `union_authenticator` asks them in turn.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from starlette.types import Scope

from chandlery.model.faults import Fault
from chandlery.model.objects.instances import UserInfo

IDENTITY: Final = "chandlery.identity"
"""Where a request's ASGI scope has its `Identity`; probes have none."""
FAILED_LOGIN: Final = "chandlery.failed_login"
"""Where it has the `LoginFailure` of credentials that were refused."""
FORWARDED: Final = "chandlery.forwarded"
"""Where it has the addresses that a front proxy has passed it on for, the farthest first, where one is believed."""

AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
ANONYMOUS: Final = "system:anonymous"

CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""The extra field that says by which of their credentials a user came in, in Kubernetes' form."""


class LoginFailure(StrEnum):
    """Why credentials are refused: for the log and for counters, never for whoever sent them."""

    UNKNOWN_TOKEN = "unknown token"  # noqa: S105 - no password
    MALFORMED = "malformed token"
    TOO_LONG = "token too long"
    EXPIRED = "expired"
    NOT_YET_VALID = "not valid yet"
    UNKNOWN_ISSUER = "unknown issuer"
    ISSUER_AWAY = "keys of the issuer cannot be fetched"
    UNKNOWN_KEY = "unknown key"
    ALGORITHM = "algorithm not allowed"
    BAD_SIGNATURE = "wrong signature"
    AUDIENCE = "wrong audience"
    CLAIMS = "claims not accepted"
    RESERVED_NAME = "name or group begins with system:"
    REVOKED = "revoked, or its service account is gone"
    CERTIFICATE = "client certificate not accepted"
    PROXY_HEADERS = "headers of the front proxy not accepted"


class LoginRefused(Exception):
    """Credentials of a kind that is known here, and not good. Nobody is shown why but whoever reads the log."""

    def __init__(self, reason: LoginFailure) -> None:
        self.reason = reason
        super().__init__(str(reason))


class Authenticator(Protocol):
    """Knows users."""

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """Who sends this; None if nobody known does. Raises Unavailable if whoever knows them cannot be reached."""


@runtime_checkable
class TokenVerifier(Protocol):
    """Knows users by bearer tokens of one kind."""

    async def verify(self, token: str) -> UserInfo | None:
        """Whose token this is; None for one of another kind.

        Raises LoginRefused for one of this kind that is not valid, Unavailable if whoever knows cannot be reached.
        """


@dataclass(frozen=True, slots=True)
class Identity:
    """What has been found out about who sends a request."""

    sender: UserInfo | None
    """The user whose credentials it carries."""
    user: UserInfo | None
    """Whom it counts as: the sender, or whom they act as."""
    fault: Fault | None = None
    """Why it counts as nobody, unless it simply carries no valid credentials."""


def with_authenticated_group(user: UserInfo) -> UserInfo:
    """The user, in the group of all who are known; those whom nobody knows are in another one.

    Rule: Kubernetes' `AuthenticatedGroupAdder`.
    """
    groups = user.groups or ()
    if user.username == ANONYMOUS or AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return user
    return user.model_copy(update={"groups": (*groups, AUTHENTICATED)})


def sender_of(scope: Scope) -> UserInfo | None:
    """The user whose credentials the request carries, as far as that has been found out."""
    identity: Identity | None = scope.get(IDENTITY)
    return identity.sender if identity else None


def forwarded_for(scope: Scope) -> tuple[str, ...]:
    """The addresses that a front proxy, known by its certificate, says it came by; the last is what it saw itself."""
    forwarded: tuple[str, ...] = scope.get(FORWARDED, ())
    return forwarded


def login_failure(scope: Scope) -> LoginFailure | None:
    """Why the credentials of a request were refused; None if it carries none."""
    failure: LoginFailure | None = scope.get(FAILED_LOGIN)
    if failure is None and any(name == b"authorization" for name, _ in scope["headers"]):
        return LoginFailure.UNKNOWN_TOKEN
    return failure


def bearer_token(scope: Scope) -> str | None:
    """The bearer token of a request, without a look at what it says."""
    given: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = given.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
