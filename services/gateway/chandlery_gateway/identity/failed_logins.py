"""Counts requests with credentials that are refused, by address: tells of them in the log, and slows down who goes on.

`pipeline` reports each of them, whichever authenticator has refused it. Who has valid credentials is never slowed,
whatever others of their address do.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog

from chandlery.process.logs.tally import Tally
from chandlery_gateway.identity.authentication import LoginFailure

_FREE: Final = 10.0
"""So many failures of one address are answered at once; a client with an old token makes a few."""
_FORGIVEN_PER_SECOND: Final = 0.2
_DELAY_SECONDS: Final = 1.0
_MOST_ADDRESSES: Final = 1000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Record:
    level: float
    at: float


class FailedLogins:
    """The failures of late, of the addresses that failed last."""

    def __init__(self) -> None:
        self.counts: Counter[LoginFailure] = Counter()
        """How many there have been since the start, by reason: what a metric shows."""
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._tally = Tally(_say_who_fails)

    def count_certificate(self) -> None:
        """A client certificate has ended a handshake, which is told of and slowed where connections are accepted."""
        self.counts[LoginFailure.CERTIFICATE] += 1

    def note(self, address: str, *, now: float, reason: LoginFailure = LoginFailure.UNKNOWN_TOKEN) -> float:
        """One more from there. Returns for how many seconds its answer is to be held back."""
        self.counts[reason] += 1
        # An address has no blanks in it.
        self._tally.add(f"{address} {reason}")
        record = self._records.pop(address, None) or _Record(0.0, now)
        level = max(0.0, record.level - (now - record.at) * _FORGIVEN_PER_SECOND) + 1
        self._records[address] = _Record(min(level, 2 * _FREE), now)
        if len(self._records) > _MOST_ADDRESSES:
            self._records.popitem(last=False)
        return _DELAY_SECONDS if level > _FREE else 0.0


def _say_who_fails(key: str, count: int) -> None:
    # Of those for whom there is no room to count them one by one, no reason is told.
    address, _, reason = key.partition(" ")
    log.warning(
        f"invalid credentials from {address}: {count} requests refused{f' ({reason})' if reason else ''}",
        action="failed_authentication",
        address=address,
        reason=reason,
        count=count,
    )
