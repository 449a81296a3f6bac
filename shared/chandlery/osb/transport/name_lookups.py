"""Host names and their addresses, by the system's resolver, in threads of their own.

The system's resolver takes as long as it likes, and cannot be interrupted. In the threads that everything else shares,
a few names that nobody answers for would hold up the whole process; and in threads that all tenants share without a
bound, those of one would hold up all others.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from chandlery.reconcile.egress.address_kinds import Address

_THREADS: Final = 16


class NameLookups:
    """Threads that look names up, and whose turn it is to use them."""

    def __init__(self, *, threads: int = _THREADS, each: int | None = None) -> None:
        """`each` is how many of the threads one of those who share them may use; without it all of them."""
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="looks-names-up")
        self._each = each or threads
        self._shares: WeakValueDictionary[str, LookupShare] = WeakValueDictionary()

    def share_of(self, whose: str) -> "LookupShare":
        """The same for the same name, as long as somebody uses it."""
        share = self._shares.get(whose)
        if share is None:
            share = self._shares[whose] = LookupShare(self._threads, self._each)
        return share

    def close(self) -> None:
        """Begin nothing more. Look-ups under way go on to their end, and nobody waits for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class LookupShare:
    """Looks names up. At most so many at a time; others wait, and give up when their own time is over."""

    def __init__(self, threads: ThreadPoolExecutor, most: int) -> None:
        self._threads = threads
        self._turns = asyncio.Semaphore(most)

    async def addresses_of(self, name: str, family: int = socket.AF_UNSPEC) -> Sequence[Address]:
        """All addresses of the name, in the system's order of preference.

        Raises:
            OSError: the name has none, or nobody answers.
        """
        loop = asyncio.get_running_loop()
        await self._turns.acquire()
        try:
            looking = self._threads.submit(_look_up, name, family)
        except RuntimeError:
            self._turns.release()
            raise
        # Whoever has given up meanwhile leaves a thread that goes on: the turn ends with it.
        looking.add_done_callback(lambda _: self._end_turn(loop))
        found = await asyncio.wrap_future(looking)
        # An address with a scope is link-local, and no broker's.
        addresses = [ip_address(text) for text in found if "%" not in text]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address that could be called")
        return addresses

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):
            # The loop may be closed already.
            loop.call_soon_threadsafe(self._turns.release)


def _look_up(name: str, family: int) -> Sequence[str]:
    found = socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    # Once each, in order.
    return tuple(dict.fromkeys(str(place[4][0]) for place in found))
