"""Keeps the leases of a living process alive, so that those of a dead one can be short."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import structlog

from chandlery.engine.resources import Resources
from chandlery.store.database import UnitOfWork

log = structlog.get_logger(__name__)


async def keep_leases(resources: Resources) -> None:
    """Extend the leases of what is in hand, three times per lease, for ever."""
    lease = timedelta(seconds=resources.settings.lease_seconds)
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        held = tuple(resources.in_hand)
        if not held:
            continue
        # Counted from before the write: the row says the same or later.
        until = time.monotonic() + lease.total_seconds()
        try:
            kept = await resources.database.run(partial(_extend, held, resources.owner, lease))
        except Exception as error:  # noqa: BLE001 - without this loop every longer call would be made twice
            log.warning(f"leases could not be extended: {type(error).__name__}", action="extend_leases")
            continue
        for uid in kept & resources.in_hand.keys():
            resources.in_hand[uid] = until


async def _extend(uids: Sequence[str], owner: str, lease: timedelta, unit: UnitOfWork) -> set[str]:
    return await unit.work_queue.extend(uids, owner=owner, lease=lease)
