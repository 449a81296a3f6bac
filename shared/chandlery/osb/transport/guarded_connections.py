"""Connections that lead only where the policy lets them: the address that was checked is the one connected to.

A name is resolved once for a connection. Its addresses are checked, and the socket is opened to one of those that
passed: nobody asks for the name again in between, so that a name server that gives another answer the second time
("DNS rebinding") changes nothing. The socket's own address is checked once more, which also covers URLs with addresses.
"""

import socket
from ipaddress import ip_address
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType, TCPConnector

from chandlery.osb.transport.name_lookups import LookupShare
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.host_spelling import Host

DNS_SECONDS: Final = 10
"""How long a checked answer is used for further connections of the same session."""
_LITERAL: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class AddressRefused(OSError):
    """The policy allows no connection to where the host is. The message says why."""


class CheckedResolver(AbstractResolver):
    """Resolves the name of one broker, to the addresses that may be called."""

    def __init__(
        self, lookups: LookupShare, policy: EgressPolicy | None, host: Host, *, tries_others: bool = True
    ) -> None:
        """Without a policy every address will do: that of a proxy, which only the operator chooses.

        Without `tries_others` the first address that may be called is the only one.
        """
        self._lookups = lookups
        self._policy = policy
        self._host = host
        self._most = None if tries_others else 1

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See aiohttp. Raises OSError if there is no address, AddressRefused if none may be called."""
        found = await self._lookups.addresses_of(host, family)
        may_be = found if self._policy is None else self._policy.allowed(found, self._host)
        if not may_be and self._policy is not None:
            raise AddressRefused(self._policy.address_problem(found[0], self._host) or "is not allowed")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004 - IPv4
                proto=0,
                flags=_LITERAL,
            )
            for address in may_be[: self._most]
        ]

    async def close(self) -> None:
        """The threads are shared."""


def guarded_connector(
    resolver: CheckedResolver,
    policy: EgressPolicy | None,
    host: Host,
    *,
    connections: int,
    ssl: object,
    force_close: bool,
) -> TCPConnector:
    """A connector for one broker; without a policy for the proxy to it."""

    def open_socket(place: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = place
        if policy is not None:
            problem = policy.address_problem(ip_address(str(where[0])), host)
            if problem is not None:
                raise AddressRefused(problem)
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        limit=connections,
        ssl=ssl,  # type: ignore[arg-type]
        force_close=force_close,
        resolver=resolver,
        ttl_dns_cache=DNS_SECONDS,
        socket_factory=open_socket,
    )
