"""Keeps the leases of a living process alive, so that those of a dead one can be short."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import structlog

from chandlery.model.faults import Fault
from chandlery.runtime.resources import Resources
from chandlery.store.database import UnitOfWork

log = structlog.get_logger()


async def keep_leases(resources: Resources) -> None:
    """Extend the leases of what is in hand, three times per lease, for ever."""
    lease = timedelta(seconds=resources.settings.lease_seconds)
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        uids = tuple(resources.in_hand)
        if not uids:
            continue
        try:
            await resources.database.run(partial(_extend, uids, resources.owner, lease))
        except Fault as fault:
            log.warning(f"leases could not be extended: {fault.message}", action="extend_leases")


async def _extend(uids: Sequence[str], owner: str, lease: timedelta, unit: UnitOfWork) -> int:
    return await unit.reconciliations.extend(uids, owner=owner, lease=lease)
