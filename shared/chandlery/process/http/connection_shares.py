"""Who may be connected, and who has to go for somebody else: decided from addresses and stages, without any I/O.

Every socket counts from the moment it is accepted: those that are silent, that do half a TLS handshake, that send half
a head. `accepting` reports arrivals, `bounded_connections` what becomes of them.

- A newcomer is let in as long as anybody has nothing to do: the slowest unfinished head goes first, then whoever was
  idle for longest. A request that is being served is never cut off for a newcomer.
- No address holds more connections than are left for all others, so that one of them never fills the house.
- A front proxy, known by its certificate, is many users at one address: kube-apiserver opens a connection for each of
  their watches. All front proxies together are bounded by what is kept free for others, a tenth.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

PATIENCE_SECONDS: Final = 2.0
"""A head that takes longer goes before connections that are merely idle; a younger one is likely to be whole soon."""
_NEIGHBOURS_V6: Final = 64
_FRONT_PROXIES: Final = "front proxies"
_KEPT_FROM_PROXIES: Final = 10
"""One of so many, for probes and whoever else comes directly."""


class Stage(Enum):
    """What a connection is doing."""

    UNFINISHED = auto()
    """It has said nothing, or half of a handshake or of a head."""
    IDLE = auto()
    """Its last request has been answered."""
    BUSY = auto()


@dataclass(eq=False, slots=True)
class Held:
    """One connection."""

    address: str
    make_room: Callable[[], None]
    """Ends it, whatever it is doing."""
    stage: Stage = Stage.UNFINISHED
    since: float = 0.0
    """When that began, on the loop's clock."""
    is_proxy: bool = False
    """Whether it is a front proxy's."""

    @property
    def share(self) -> str:
        """With whose connections it is bounded."""
        return _FRONT_PROXIES if self.is_proxy else self.address


def share_of(host: str) -> str:
    """Who an address counts as. For IPv6 its network: whoever has one address there has as many as they like."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:  # noqa: PLR2004 - the protocol's name
        return str(ipaddress.ip_network((address, _NEIGHBOURS_V6), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


_Line = OrderedDict[Held, None]
"""Connections of one stage, in the order in which they reached it."""


class _Group(dict[Stage, _Line]):
    """The connections of one share, or all, by stage."""

    def __init__(self) -> None:
        super().__init__((stage, _Line()) for stage in Stage)

    @property
    def count(self) -> int:
        return sum(map(len, self.values()))

    def leaving(self, now: float) -> Held:
        """Who is missed least; the newcomer itself, which is in there too, if all others have something to do."""
        slowest = next(iter(self[Stage.UNFINISHED]))
        if now - slowest.since >= PATIENCE_SECONDS:
            return slowest
        return next(iter(self[Stage.IDLE]), slowest)


class ConnectionShares:
    """The connections of one listener."""

    def __init__(self, *, connections: int) -> None:
        """At most so many at a time."""
        self._most = connections
        self._all = _Group()
        self._by_share: dict[str, _Group] = {}

    def arrive(self, held: Held, *, now: float) -> Held | None:
        """Count it in. Returns who has to go for it and is counted no more, perhaps itself."""
        own = self._by_share.setdefault(held.share, _Group())
        held.since = now
        for group in (self._all, own):
            group[Stage.UNFINISHED][held] = None
        left = self._most - self._all.count
        if own.count > max(left, 1):
            leaving = own.leaving(now)
        elif left < 0:
            leaving = self._all.leaving(now)
        else:
            return None
        self.leave(leaving)
        return leaving

    def speaks_for_many(self, held: Held, *, now: float) -> Held | None:
        """It is a front proxy's, as it turns out. Returns who has to go for it, as `arrive` does."""
        if held.is_proxy or held not in self._all[held.stage]:
            return None
        self._let_go(held)
        held.is_proxy = True
        own = self._by_share.setdefault(held.share, _Group())
        own[held.stage][held] = None
        if own.count <= self._most - max(self._most // _KEPT_FROM_PROXIES, 1):
            return None
        leaving = own.leaving(now)
        self.leave(leaving)
        return leaving

    def become(self, held: Held, stage: Stage, *, now: float) -> None:
        """It does something else now. Of who had to go meanwhile nothing is noted."""
        if held.stage is stage or held not in self._all[held.stage]:
            return
        for group in (self._all, self._by_share[held.share]):
            del group[held.stage][held]
            group[stage][held] = None
        held.stage, held.since = stage, now

    def leave(self, held: Held) -> None:
        """It has ended, or is about to; a second time does no harm."""
        if held not in self._all[held.stage]:
            return
        del self._all[held.stage][held]
        self._let_go(held)

    def _let_go(self, held: Held) -> None:
        own = self._by_share[held.share]
        del own[held.stage][held]
        if not own.count:
            del self._by_share[held.share]
