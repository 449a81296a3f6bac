"""Makes and keeps the roles and bindings that come with Chandlery, whenever a gateway starts.

Comes in: what is stored. Goes out: what was missing, in one transaction. An unchanged start writes nothing, and of
several gateways that start at once one writes: the others lose the race and find everything there.
Called by: `main.py`, before the gateway is ready.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import uuid4

import structlog

from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.rbac import ClusterRole, ClusterRoleBinding
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery_gateway.identity.default_roles.coming_roles import DEFAULT_BINDINGS, DEFAULT_ROLES
from chandlery_gateway.identity.default_roles.role_reconciliation import (
    must_be_made_anew,
    reconciled_binding,
    reconciled_role,
)

_TRIES: Final = 5

log = structlog.get_logger(__name__)


async def keep_default_roles(database: Database) -> None:
    """Add what is missing of the default roles and bindings. Raises Conflict if others keep changing them meanwhile."""
    for _ in range(_TRIES - 1):
        with suppress(AlreadyExists, Conflict):
            # Another gateway may start at the same moment.
            return _tell(await database.run(_keep))
    return _tell(await database.run(_keep))


def _tell(written: Sequence[str]) -> None:
    if written:
        log.info("the default roles are in place", action="keep_default_roles", count=len(written))


async def _keep(unit: UnitOfWork) -> Sequence[str]:
    """Returns what was written."""
    await unit.aggregated_roles.lock()
    roles, bindings = await _stored(unit, kinds.CLUSTER_ROLE), await _stored(unit, kinds.CLUSTER_ROLE_BINDING)
    return [
        *[role.metadata.name for role in DEFAULT_ROLES if await _keep_role(unit, roles, role)],
        *[binding.metadata.name for binding in DEFAULT_BINDINGS if await _keep_binding(unit, bindings, binding)],
    ]


async def _stored(unit: UnitOfWork, kind: Kind) -> dict[str, AnyObject]:
    return {found.metadata.name: found for found in await unit.objects.list(kind, Listing())}


async def _keep_role(unit: UnitOfWork, stored: dict[str, AnyObject], wanted: ClusterRole) -> bool:
    found = stored.get(wanted.metadata.name)
    if not isinstance(found, ClusterRole):
        await unit.objects.insert(_new(wanted, unit))
        return True
    return await _updated(unit, found, reconciled_role(found, wanted))


async def _keep_binding(unit: UnitOfWork, stored: dict[str, AnyObject], wanted: ClusterRoleBinding) -> bool:
    found = stored.get(wanted.metadata.name)
    if isinstance(found, ClusterRoleBinding) and must_be_made_anew(found, wanted):
        await unit.objects.remove(found)
        found = None
    if not isinstance(found, ClusterRoleBinding):
        await unit.objects.insert(_new(wanted, unit))
        return True
    return await _updated(unit, found, reconciled_binding(found, wanted))


async def _updated(unit: UnitOfWork, old: AnyObject, new: AnyObject) -> bool:
    return new is not old and await unit.objects.update(old, new) is not old


def _new(document: AnyObject, unit: UnitOfWork) -> AnyObject:
    changed = {"uid": str(uuid4()), "creation_timestamp": unit.now}
    return document.model_copy(update={"metadata": document.metadata.model_copy(update=changed)})
