"""Counts requests with a token that nobody has, by address: tells of them in the log, and slows down who goes on.

`pipeline` reports each of them. Who has a valid token is never slowed, whatever others of their address do.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog

from chandlery.process.logs.logs import Tally

_FREE: Final = 10.0
"""So many failures of one address are answered at once; a client with an old token makes a few."""
_FORGIVEN_PER_SECOND: Final = 0.2
_DELAY_SECONDS: Final = 1.0
_MOST_ADDRESSES: Final = 1000

log = structlog.get_logger()


@dataclass(slots=True)
class _Record:
    level: float
    at: float


class FailedLogins:
    """The failures of late, of the addresses that failed last."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._tally = Tally(_say_who_fails)

    def note(self, address: str, *, now: float) -> float:
        """One more from there. Returns for how many seconds its answer is to be held back."""
        self._tally.add(address)
        record = self._records.pop(address, None) or _Record(0.0, now)
        level = max(0.0, record.level - (now - record.at) * _FORGIVEN_PER_SECOND) + 1
        self._records[address] = _Record(min(level, 2 * _FREE), now)
        if len(self._records) > _MOST_ADDRESSES:
            self._records.popitem(last=False)
        return _DELAY_SECONDS if level > _FREE else 0.0


def _say_who_fails(address: str, count: int) -> None:
    log.warning(
        f"invalid tokens from {address}: {count} requests refused",
        action="failed_authentication",
        address=address,
        count=count,
    )
