"""Work that blocks, in a thread that keeps no process from its end: a file may be on a volume that hangs."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """What the work returns or raises. Who stops waiting for it leaves it to itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            _tell(loop, answer, answer.set_exception, error)
        else:
            _tell(loop, answer, answer.set_result, result)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await answer


def _tell(
    loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", settle: Callable[..., None], result: object
) -> None:
    def tell() -> None:
        if not answer.done():
            settle(result)

    # The loop may be closed by now.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(tell)
