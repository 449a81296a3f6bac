"""What happened with a request, for whoever has to account for it later. Nobody does yet.

The pipeline fills in an `AuditEvent` on the way of each request that has come to a route, and has it recorded before
the answer is sent: once for each, of a watch when it begins. Requests that got no seat, or for which there is no route,
have done nothing and are not told of.
"""

from dataclasses import dataclass
from typing import Protocol

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access, Decision


@dataclass(slots=True)
class AuditEvent:
    """One request."""

    method: str
    path: str
    sender: UserInfo | None
    """The user whose credentials it carried."""
    user: UserInfo | None
    """Whom it counted as, which is somebody else when the sender acts as them."""
    access: Access | None = None
    """What was to be done; None if nobody had to be asked about it, or it has not come so far."""
    decision: Decision | None = None
    status: int = 0
    """The code of the answer."""


class Auditor(Protocol):
    """Keeps what happened."""

    async def record(self, event: AuditEvent) -> None:
        """Keep this. It must not raise: what was to be done has been done, and its answer is on its way."""


class NullAuditor:
    """Keeps nothing."""

    async def record(self, event: AuditEvent) -> None:
        """See Auditor."""
