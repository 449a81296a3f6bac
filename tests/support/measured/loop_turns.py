"""Counts the turns of the event loop that others have while something is done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LoopTurns:
    """How many there were."""

    count = 0


@asynccontextmanager
async def turns_of_others() -> AsyncIterator[LoopTurns]:
    """Within, a task asks for every turn that it can get."""
    turns = LoopTurns()

    async def others() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    try:
        yield turns
    finally:
        beside.cancel()
