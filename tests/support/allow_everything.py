"""An authorizer for tests in which nobody is refused anything: of what is below it, or beside it."""

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import EVERYTHING, Access, Decision, Reach, ResourceRule, Rules


class AllowEverything:
    """See Authorizer."""

    revision = 0

    async def decide(self, access: Access) -> Decision:
        """See Authorizer."""
        return Decision(allowed=True, reason=f"everybody may {access.verb}")

    async def reach(self, access: Access) -> Reach:
        """See Authorizer."""
        return EVERYTHING

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        """See Authorizer."""
        return Rules(resources=(ResourceRule(verbs=("*",), groups=("*",), resources=("*",)),))
