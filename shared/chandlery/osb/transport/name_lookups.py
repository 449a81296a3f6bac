"""Host names and their addresses, by the system's resolver, in threads of their own.

The system's resolver takes as long as it likes, and cannot be interrupted. In the threads that everything else shares,
a few names that nobody answers for would hold up the whole process.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final

from chandlery.reconcile.egress.address_kinds import Address

_THREADS: Final = 16


class NameLookups:
    """Looks names up. At most so many at a time; others wait, and give up when their own time is over."""

    def __init__(self, *, threads: int = _THREADS) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="looks-names-up")

    async def addresses_of(self, name: str, family: int = socket.AF_UNSPEC) -> Sequence[Address]:
        """All addresses of the name, in the system's order of preference.

        Raises:
            OSError: the name has none, or nobody answers.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, name, family)
        # An address with a scope is link-local, and no broker's.
        return [ip_address(text) for text in found if "%" not in text]

    def close(self) -> None:
        """Begin nothing more. Look-ups under way go on to their end, and nobody waits for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(name: str, family: int) -> Sequence[str]:
    found = socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    # Once each, in order.
    return tuple(dict.fromkeys(str(place[4][0]) for place in found))
