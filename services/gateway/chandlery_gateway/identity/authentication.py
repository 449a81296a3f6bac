"""Who sends a request: the first question of the pipeline, asked once for each request. The answer stays in its scope.

An authenticator knows users by something that a request carries: a token (`token_authenticator`), one day also the
token of an identity provider, the certificate of its connection or the headers of an API server in front. It is given
the ASGI scope, where all of these are, and may have to ask somebody far away.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import Scope

from chandlery.model.faults import Fault
from chandlery.model.objects.instances import UserInfo

IDENTITY: Final = "chandlery.identity"
"""Where a request's ASGI scope has its `Identity`; probes have none."""


class Authenticator(Protocol):
    """Knows users."""

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        """Who sends this; None if nobody known does. Raises Unavailable if whoever knows them cannot be reached."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What has been found out about who sends a request."""

    sender: UserInfo | None
    """The user whose credentials it carries."""
    user: UserInfo | None
    """Whom it counts as: the sender, or whom they act as."""
    fault: Fault | None = None
    """Why it counts as nobody, unless it simply carries no valid credentials."""


def sender_of(scope: Scope) -> UserInfo | None:
    """The user whose credentials the request carries, as far as that has been found out."""
    identity: Identity | None = scope.get(IDENTITY)
    return identity.sender if identity else None
