"""Keeps the rules of cluster roles that gather those of others in step, in the transaction that changes any of them.

Whoever writes a cluster role, be it the gateway, a namespace's end or the garbage collector: `ObjectStore` tells, and
at the end of the transaction the roles that gather are looked at. Two transactions at once would each miss what the
other adds, so on PostgreSQL they take turns; SQLite has one writer anyway.
"""

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text

from chandlery.model.faults import Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.rbac import ClusterRole
from chandlery.reconcile.policies.aggregated_rules import is_full, is_news, with_gathered_rules
from chandlery.store.database_errors import LostRace
from chandlery.store.objects.object_reads import Listing
from chandlery.store.objects.objects import ObjectStore

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

log = structlog.get_logger(__name__)

_LOCK = text("SELECT pg_advisory_xact_lock(4242, 2)")


class AggregatedRoles:
    """The cluster roles that gather rules, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._is_due = False

    def written(self, before: AnyObject | None, after: AnyObject | None) -> None:
        """An object has come (`before` is None), changed or gone (`after` is None)."""
        is_about_roles = isinstance(before or after, ClusterRole)
        self._is_due = self._is_due or (is_about_roles and is_news(_role(before), _role(after)))

    async def lock(self) -> None:
        """Take one's turn: before the first look at a cluster role that is to be written."""
        if self._is_postgresql:
            await self._connection.execute(_LOCK)

    async def completed(self, objects: ObjectStore, role: ClusterRole) -> ClusterRole:
        """The role that is about to be written, with the rules that it gathers."""
        if role.aggregation_rule is None:
            return role
        await self.lock()
        return with_gathered_rules(role, await self._all(objects))

    async def flush(self, objects: ObjectStore) -> None:
        """Write anew what has other rules now. Raises LostRace if somebody has overtaken this transaction."""
        if not self._is_due:
            return
        await self.lock()
        roles = await self._all(objects)
        for role in roles:
            gathered = with_gathered_rules(role, roles)
            if gathered is not role and is_full(gathered):
                name = role.metadata.name
                log.warning(f"the cluster role {name} gathers as much as it can hold", action="gather_rules", name=name)
            try:
                await objects.update(role, gathered)
            except Conflict as error:
                # It has waited for its turn with a number that is too old by now.
                raise LostRace from error
        self._is_due = False

    async def _all(self, objects: ObjectStore) -> list[ClusterRole]:
        found = await objects.list(kinds.CLUSTER_ROLE, Listing())
        return [each for each in found if isinstance(each, ClusterRole)]


def _role(document: AnyObject | None) -> ClusterRole | None:
    return document if isinstance(document, ClusterRole) else None
