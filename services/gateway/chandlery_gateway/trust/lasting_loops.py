"""Loops by which a gateway stays in step with its cluster, each for itself.

What one of them trips over must not end the others: a gateway that goes on serving, and has quietly ceased to hear of
authorities that are withdrawn or to renew its certificate, is worse than one that is gone.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

_PAUSE_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


async def keep_going(loops: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    """All of them, by what the log calls them; one that fails is told of and begun anew. Ends by cancellation."""
    async with asyncio.TaskGroup() as group:
        for what, loop in loops.items():
            group.create_task(_for_ever(what, loop))


async def _for_ever(what: str, loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - whatever it is
            # Not its message, which may quote what was read.
            trace, name = "".join(traceback.format_tb(error.__traceback__)), type(error).__name__
            log.error(f"{what} has failed and begins anew: {name}", action="follow_cluster", exception=trace)  # noqa: TRY400
        await asyncio.sleep(_PAUSE_SECONDS)
