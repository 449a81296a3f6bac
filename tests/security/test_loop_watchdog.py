"""The watchdog itself: it has to notice what holds the loop, and nothing else."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest

from tests.security.loop_watchdog import MOST_SECONDS, LoopWatchdog, watched_loop

pytestmark = pytest.mark.asyncio(loop_scope="session")

EMPTY_LISTS = b"[" + b"[]," * 6_000_000 + b"[]]"


def spend(seconds: float) -> None:
    """Processor time of this thread, with the interpreter given away from time to time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def watched(work: Coroutine[Any, Any, None]) -> LoopWatchdog:
    async with watched_loop() as watchdog:
        await asyncio.sleep(0.02)
        watchdog.begin()
        await work
        watchdog.end()
    return watchdog


@pytest.fixture(autouse=True)
def forgiven(loop_watchdog: LoopWatchdog) -> None:
    """The holds of these tests are wanted: the watchdog of the folder looks away."""
    loop_watchdog.begin = lambda: None  # type: ignore[method-assign]


async def test_a_step_that_computes_for_long_is_noticed_and_named() -> None:
    async def step() -> None:
        spend(3 * MOST_SECONDS)

    (hold,) = (await watched(step())).holds
    assert hold.seconds > 2 * MOST_SECONDS
    assert "in spend" in str(hold)


async def test_one_native_call_in_a_thread_is_noticed() -> None:
    async def parse() -> None:
        await asyncio.to_thread(orjson.loads, EMPTY_LISTS)

    assert (await watched(parse())).holds


async def test_a_thread_that_gives_way_and_a_pause_are_none() -> None:
    async def work() -> None:
        await asyncio.gather(asyncio.to_thread(spend, 6 * MOST_SECONDS), asyncio.sleep(2 * MOST_SECONDS))
        time.sleep(2 * MOST_SECONDS)  # noqa: ASYNC251 - a machine that is busy with others looks like this

    assert (await watched(work())).holds == []
