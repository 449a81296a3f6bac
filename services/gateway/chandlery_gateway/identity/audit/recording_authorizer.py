"""Puts every answer of the authorizer into the audit event of the request that it was asked for.

`app.py` puts it around the authorizer, and gives it to everybody who decides by the answer: the pipeline (the request
itself, and whom it acts as), the handlers and the writer. Reviews ask the authorizer itself: their questions are about
what somebody might do.
"""

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.audit.audit_event import note_decision
from chandlery_gateway.identity.authorization import Access, Authorizer, Decision, Reach, Rules


class RecordingAuthorizer:
    """See Authorizer."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def decide(self, access: Access) -> Decision:
        """See Authorizer. The answer is on record before anybody acts by it."""
        decision = await self._authorizer.decide(access)
        note_decision(access, decision)
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
