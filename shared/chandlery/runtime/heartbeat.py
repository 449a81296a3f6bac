"""Keeps the leases of a living process alive, so that those of a dead one can be short."""

import asyncio
from datetime import timedelta

import structlog

from chandlery.model.faults import Unavailable
from chandlery.store.database import Database

log = structlog.get_logger()


async def keep_leases(database: Database, *, owner: str, lease: timedelta) -> None:
    """Extend all leases of this owner, three times per lease, for ever."""
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            await database.run(lambda unit: unit.reconciliations.extend(owner, lease=lease))
        except Unavailable as fault:
            log.warning(f"leases could not be extended: {fault.message}", action="extend_leases")
