"""Lists of rules about where service brokers may be: networks, host patterns, schemes. Read from text. Pure.

    10.0.0.0/8, 192.0.2.7, *.brokers.example.com, broker.example.org, https:

Operators write them into settings, and into annotations of namespaces.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from chandlery.reconcile.egress.address_kinds import Address, Network, forms_of, is_within
from chandlery.reconcile.egress.host_spelling import Host

MOST_RULES: Final = 500
LONGEST_TEXT: Final = 32_768
_SCHEMES: Final = {"http:": "http", "https:": "https"}
_PATTERN: Final = re.compile(r"(\*\.)?(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\*", re.ASCII)
_NUMERIC: Final = re.compile(r"[0-9.]+|.*:.*|.*/.*")


@dataclass(frozen=True, slots=True)
class EgressRules:
    """What one list names. Hashable: connections that were made by other rules are not shared."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()
    """`name`, `*.domain` for all names below a domain, or `*` for any name."""
    schemes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is named."""
        return bool(self.networks or self.hosts or self.schemes)

    @property
    def names_places(self) -> bool:
        """Whether networks or hosts are named: where they are not, a list says nothing about places."""
        return bool(self.networks or self.hosts)

    def names(self, host: Host) -> bool:
        """Whether a pattern fits the name, or a network the address of a host that is written as one."""
        return self.has_name(host) or (host.address is not None and self.has_address(host.address))

    def has_name(self, host: Host) -> bool:
        """Whether a pattern fits the name. An address has none."""
        return host.address is None and any(_fits(pattern, host.name) for pattern in self.hosts)

    def has_network_of(self, address: Address) -> bool:
        """Whether it is of one of the networks, just as it is."""
        return any(is_within(address, network) for network in self.networks)

    def has_address(self, address: Address) -> bool:
        """Whether it, or an IPv4 address that it carries, is of one of the networks."""
        return any(map(self.has_network_of, forms_of(address)))


NO_RULES: Final = EgressRules()
LOOPBACK: Final = "127.0.0.0/8,::1/128"
"""The networks of this machine, as a list to be trusted: for `chandlery up`, and for tests."""


@lru_cache(maxsize=256)
def parse_rules(text: str) -> EgressRules:
    """The rules of a list, which commas, white space or both part.

    Raises:
        ValueError: an entry is none of the three kinds; the message quotes it.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT:,} characters")
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    if len(entries) > MOST_RULES:
        raise ValueError(f"has more than {MOST_RULES} entries")
    networks: list[Network] = []
    hosts: list[str] = []
    schemes: list[str] = []
    for entry in entries:
        lowered = entry.lower()
        if lowered in _SCHEMES:
            schemes.append(_SCHEMES[lowered])
        elif _NUMERIC.fullmatch(lowered):
            networks.append(_network(entry))
        elif _PATTERN.fullmatch(lowered):
            hosts.append(lowered)
        else:
            raise ValueError(_complaint(entry))
    return EgressRules(tuple(networks), tuple(hosts), tuple(schemes))


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError:
        raise ValueError(_complaint(entry)) from None


def _complaint(entry: str) -> str:
    shown = entry[:100]
    return (
        f"{shown!r} is not a network (10.0.0.0/8, with no bits set behind the prefix), a host "
        "(broker.example.com, *.example.com) or a scheme (http:, https:)"
    )


def _fits(pattern: str, name: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return name == pattern
