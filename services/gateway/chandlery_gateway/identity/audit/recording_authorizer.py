"""Puts every answer of the authorizer into the audit event of the request that it was asked for.

`app.py` puts it around the authorizer, and gives it to everybody who decides by the answer: the pipeline (the request
itself, and whom it acts as), the handlers and the writer. Reviews ask the authorizer itself: their questions are about
what somebody might do. It counts them, too.
"""

from collections.abc import Iterator

from chandlery.model.objects.instances import UserInfo
from chandlery.telemetry.catalog.api_requests import AUTHORIZATION_DECISIONS
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample
from chandlery_gateway.identity.audit.audit_event import note_decision
from chandlery_gateway.identity.authorization import Access, Authorizer, Decision, Reach, Rules


class RecordingAuthorizer:
    """See Authorizer."""

    def __init__(self, authorizer: Authorizer, metrics: Metrics = NO_METRICS) -> None:
        self._authorizer = authorizer
        self._allowed = self._forbidden = 0
        metrics.collect(AUTHORIZATION_DECISIONS, self._counts)

    async def decide(self, access: Access) -> Decision:
        """See Authorizer. The answer is on record before anybody acts by it."""
        decision = await self._authorizer.decide(access)
        note_decision(access, decision)
        if decision.allowed:
            self._allowed += 1
        else:
            self._forbidden += 1
        return decision

    @property
    def revision(self) -> int:
        """See Authorizer."""
        return self._authorizer.revision

    async def reach(self, access: Access) -> Reach:
        """See Authorizer. What is left out of an answer for it is not on record: nothing was done with it."""
        return await self._authorizer.reach(access)

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        """See Authorizer."""
        return await self._authorizer.rules(user, namespace)

    def _counts(self) -> Iterator[Sample]:
        # The words in which audit events say it.
        yield Sample(("allow",), self._allowed)
        yield Sample(("forbid",), self._forbidden)
