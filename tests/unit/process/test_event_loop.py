"""How a process ends that has said all it had to say."""

import asyncio
import errno

import pytest
import uvloop

from chandlery.process import event_loop


async def _answer() -> int:
    await asyncio.sleep(0)
    return 3


def test_what_the_work_returns_comes_out() -> None:
    assert event_loop.run(_answer()) == 3


def test_a_loop_that_the_system_still_works_for_does_not_fail_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = _close_with(monkeypatch, OSError(errno.EBUSY, "Device or resource busy"))

    assert event_loop.run(_answer()) == 3
    assert ended == [event_loop._BUSY.pop()]


def test_any_other_failure_to_close_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _close_with(monkeypatch, OSError(errno.EBADF, "Bad file descriptor"))

    with pytest.raises(OSError, match="Bad file descriptor"):
        event_loop.run(_answer())


def _close_with(monkeypatch: pytest.MonkeyPatch, error: OSError) -> list[asyncio.AbstractEventLoop]:
    ended: list[asyncio.AbstractEventLoop] = []
    close = uvloop.Loop.close

    def closing(loop: uvloop.Loop) -> None:
        close(loop)
        ended.append(loop)
        raise error

    monkeypatch.setattr(uvloop.Loop, "close", closing)
    return ended
