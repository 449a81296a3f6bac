"""What takes longer than others should wait for is computed beside the event loop, in a thread.

The interpreter is shared all the same: it changes hands every few milliseconds, but never within one call into native
code. So whoever comes here bounds first what one such call can cost, and the threads are few, for each of them gets a
turn before the loop does.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

T = TypeVar("T")

INLINE_BYTES: Final = 8 * 1024
"""Work on less is done at once: it takes less time than the way to a thread and back is worth."""

_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="aside")


async def aside(work: Callable[[], T]) -> T:
    """The result of the work, or what it raises; meanwhile the loop goes on. The work touches nothing of the loop's."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, copy_context().run, work)


async def aside_if(is_large: bool, work: Callable[[], T]) -> T:
    """The same for what is large, and at once for what is not."""
    return await aside(work) if is_large else work()
