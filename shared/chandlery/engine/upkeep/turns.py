"""What is looked after now and then by one process at a time, whichever has the lease."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chandlery.model.faults import Fault
from chandlery.store.database import Database


async def take_turns(
    database: Database,
    look: Callable[[], Awaitable[None]],
    *,
    lease: str,
    owner: str,
    every: timedelta,
    failed: Callable[[Fault], None],
) -> None:
    """Look each time that it is this process's turn, for ever; ends by cancellation. `failed` tells of what goes wrong.

    The lease outlasts the pause, so that whoever has it keeps it.
    """
    while True:
        try:
            if await database.run(lambda unit: unit.leases.acquire(lease, owner=owner, duration=2 * every)):
                await look()
        except Fault as fault:
            failed(fault)
        await asyncio.sleep(every.total_seconds())
