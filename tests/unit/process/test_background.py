"""Loops beside a service: they go on whatever happens, and end with it."""

import asyncio
from collections.abc import Callable

from chandlery.model.faults import Unavailable
from chandlery.process.background import Beside
from tests.support.waiting import SOON


class Service:
    """Ends when it is told to."""

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        ready()
        await stop.wait()


class Loop:
    """Fails twice, each time in another way."""

    def __init__(self) -> None:
        self.begun = 0
        self.goes_on = asyncio.Event()
        self.is_over = False

    async def run(self) -> None:
        self.begun += 1
        if self.begun == 1:
            raise Unavailable("the database is away")
        if self.begun == 2:
            raise KeyError("a mistake of ours")
        self.goes_on.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_over = True


async def test_loop_that_fails_is_begun_anew_and_ends_with_the_service() -> None:
    loop, stop = Loop(), asyncio.Event()
    serving = asyncio.create_task(Beside(Service(), loop, pause_seconds=0).serve(stop, lambda: None))
    async with asyncio.timeout(SOON):
        await loop.goes_on.wait()
        stop.set()
        await serving
    assert (loop.begun, loop.is_over) == (3, True)
