"""The event loop of every process: uvloop's, which ends in good order even while the system still works for it."""

import asyncio
import errno
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import uvloop

T = TypeVar("T")

_BUSY: Final[list[asyncio.AbstractEventLoop]] = []
"""Loops that libuv could not take down. What is still open in them may not outlive them, so they stay to the end."""


class EventLoop(uvloop.Loop):
    """uvloop's, whose `close` does not fail when there is nothing left to do but to end.

    A connection that the other side refuses in the middle of a TLS handshake may still be closing when its loop is
    closed. libuv then answers EBUSY, and a command that has just said what was wrong would end with a traceback.
    """

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _BUSY.append(self)


def run(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`: what `work` returns or raises."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(work)
