"""Who keeps account of requests: what the pipeline asks before a request acts, and tells before it is answered.

Every request but probes is told of once, before its answer is sent; of a watch when it begins, and again when it ends.
That goes for those without a route (404, 405), without a seat (429) and without a user (401) as well.
"""

from collections.abc import Sequence
from typing import Protocol

from chandlery_gateway.identity.audit.audit_event import AuditEvent


class Auditor(Protocol):
    """Keeps what happened."""

    async def admit(self, event: AuditEvent) -> None:
        """The request may be done and is about to be. Raises Unavailable if it must not, for want of an account."""

    async def record(self, event: AuditEvent) -> None:
        """Keep this. It must not raise: what was to be done has been done, and its answer is on its way."""

    async def shown(self, event: AuditEvent, uids: Sequence[str]) -> None:
        """A watch of Secrets is about to show these. Raises Unavailable if it must not, for want of an account."""


class NullAuditor:
    """Keeps nothing."""

    async def admit(self, event: AuditEvent) -> None:
        """See Auditor."""

    async def record(self, event: AuditEvent) -> None:
        """See Auditor."""

    async def shown(self, event: AuditEvent, uids: Sequence[str]) -> None:
        """See Auditor."""
