"""The host of a URL as it is meant: a name or an address, and nothing that other programs read differently. Pure.

One host has many spellings: `127.1`, `0x7f.1`, `2130706433`, `[::ffff:127.0.0.1]`, digits of other scripts, and a `@`
or a backslash where a reader overlooks it. Each is read by some library as an address that a rule about addresses has
not seen. None of them is needed, so all are refused, whatever address they mean.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from yarl import URL

from chandlery.reconcile.egress.address_kinds import Address, carried

_AUTHORITY: Final = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)
_LONGEST_NAME: Final = 253
_LONGEST_URL: Final = 8192
_DOTS: Final = "\u3002\uff0e\uff61"
"""What IDNA takes for a dot."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where a URL leads: a name in lower case without a dot at its end, or an address."""

    scheme: str
    name: str
    """As it is compared with patterns; of an address its usual text."""
    address: Address | None
    port: int | None


class OddSpelling(ValueError):
    """The URL is not understood in the same way by everybody; the message says what to write instead."""


@lru_cache(maxsize=1024)
def host_of(url: str) -> Host:
    """The host that a connection for this URL is made to.

    Raises:
        OddSpelling: see the module; or it is no absolute URL with a host at all.
    """
    text = url.strip()
    found = _AUTHORITY.match(text)
    if found is None or len(text) > _LONGEST_URL:
        raise OddSpelling("must be an absolute URL with a host")
    if "\\" in text or any(char.isspace() or not char.isprintable() for char in text):
        raise OddSpelling("must not contain a backslash, white space or a control character")
    authority = found[1]
    if authority.count("@") > 1 or "%" in authority.rpartition("@")[2]:
        raise OddSpelling("must have a plain host, without '%' and without a second '@'")
    place = authority.rpartition("@")[2]
    if not place:
        # yarl looks at the first character of a host, also where there is none behind brackets and "@".
        raise OddSpelling("must be an absolute URL with a host")
    spelled = _without_port(place)
    try:
        parsed = URL(text)
        effective, port = parsed.raw_host or "", parsed.port
    except ValueError:
        raise OddSpelling("must have a host that is a name or an IP address") from None
    if not effective:
        raise OddSpelling("must be an absolute URL with a host")
    address = _ipv6(spelled) if place.startswith("[") else _ipv4(spelled, effective)
    name = str(address) if address is not None else _name(spelled, effective)
    return Host(parsed.scheme, name, address, port)


def _without_port(place: str) -> str:
    if place.startswith("["):
        return place.partition("]")[0].removeprefix("[")
    return place.partition(":")[0]


def _ipv4(spelled: str, effective: str) -> IPv4Address | None:
    last = effective.rstrip(".").rpartition(".")[2]
    if not _NUMBER.fullmatch(last):
        return None
    try:
        # Refuses leading zeros, which some read as octal, and fewer or more than four parts.
        address = IPv4Address(effective)
    except AddressValueError:
        address = None
    if address is None or spelled != effective:
        raise OddSpelling("must write an IPv4 address as four decimal numbers, such as 10.1.2.3")
    return address


def _ipv6(spelled: str) -> IPv6Address:
    try:
        address = IPv6Address(spelled)
    except AddressValueError:
        raise OddSpelling("must have a host that is a name or an IP address") from None
    if address.scope_id is not None:
        raise OddSpelling("must not name a network interface: leave out '%' and what follows")
    if next(carried(address), None) is not None:
        raise OddSpelling("must not write an IPv4 address inside an IPv6 address")
    return address


def _name(spelled: str, effective: str) -> str:
    lowered = spelled.lower()
    if not lowered.isascii():
        # A name in another script is fine. Letters that only look different are not: they hide what is meant.
        if unicodedata.normalize("NFKC", lowered) != lowered or any(dot in lowered for dot in _DOTS):
            raise OddSpelling("must write its host in plain letters, digits and dots")
    elif lowered != effective.lower():
        raise OddSpelling("must have a host that is a name or an IP address")
    name = effective.lower()
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise OddSpelling("must have a host that is a name or an IP address")
    return name.removesuffix(".")
