"""Waiting for what gives no notice: bounded, and over with a fact. Where something tells, wait for that instead."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

SeenT = TypeVar("SeenT")

SOON: Final = float(os.environ.get("CHANDLERY_TEST_PATIENCE", "60"))
"""Seconds that anything may take that happens within one or two on an idle machine."""
_PAUSE_SECONDS: Final = 0.01
_PAUSE_BETWEEN_PROGRAMS_SECONDS: Final = 0.05


@overload
async def eventually(
    look: Callable[[], Awaitable[SeenT]], accept: Callable[[SeenT], bool] = bool, *, what: str = "it"
) -> SeenT: ...
@overload
async def eventually(
    look: Callable[[], SeenT], accept: Callable[[SeenT], bool] = bool, *, what: str = "it"
) -> SeenT: ...
async def eventually(look: Callable[[], Any], accept: Callable[[Any], bool] = bool, *, what: str = "it") -> Any:
    """Look until what is seen is acceptable, and return that; fails with what was seen last."""
    seen: Any = None
    try:
        async with asyncio.timeout(SOON):
            while True:
                found = look()
                seen = await found if inspect.isawaitable(found) else found
                if accept(seen):
                    return seen
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}; last seen: {seen!r}") from None


def wait_for(
    look: Callable[[], SeenT], accept: Callable[[SeenT], bool] = bool, *, what: str, seconds: float = SOON
) -> SeenT:
    """The same without an event loop, for what other processes do."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if accept(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s; last seen: {seen!r}")
        time.sleep(_PAUSE_BETWEEN_PROGRAMS_SECONDS)
