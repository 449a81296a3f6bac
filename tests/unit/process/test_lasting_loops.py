"""What keeps a gateway in step with its cluster goes on, whatever one part of it trips over."""

import asyncio

import pytest
from structlog.testing import capture_logs

from chandlery.process.background import keep_going
from tests.support.waiting import SOON


async def test_loop_that_fails_begins_anew_and_ends_no_other() -> None:
    begun, again, read = 0, asyncio.Event(), "hunter2"

    async def fails() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            again.set()
            await asyncio.Event().wait()
        raise KeyError(read)

    other = asyncio.Event()

    async def lasts() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            other.set()

    with capture_logs() as logs:
        task = asyncio.create_task(keep_going({"one": fails, "another": lasts}, pause_seconds=0.0))
        async with asyncio.timeout(SOON):
            await again.wait()
    assert not other.is_set() and not task.done()
    assert [line["event"] for line in logs] == ["one has failed and begins anew: KeyError"] * 2
    assert "hunter2" not in str(logs)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert other.is_set()
