"""Where a request began that the front proxy passes on: its header `X-Forwarded-For`, for audit log and request log.

Read by `cluster_authenticator`, with the front proxy's certificate alone: anybody may write that header. The front
proxy appends the address that it has seen itself, so the last one is true, and those before it are what the client
says. `X-Real-Ip`, which Kubernetes lists too, is passed on as the client has written it, and left out.

Rule: Kubernetes' `SourceIPs` (package `k8s.io/apimachinery/pkg/util/net`): what is no address is passed over.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

from chandlery_gateway.identity.kubernetes.proxied_users import Header

_HEADER: Final = b"x-forwarded-for"
_MOST: Final = 16
"""The last ones, which are nearest to us."""
_LONGEST: Final = 45
"""Characters of an address."""


def forwarded_addresses(headers: Sequence[Header]) -> tuple[str, ...]:
    """Addresses, the farthest first; none if the header names none."""
    whole = b",".join(value for name, value in headers if name == _HEADER)
    return tuple(_addresses(whole.rsplit(b",", _MOST)[-_MOST:]))


def _addresses(parts: Sequence[bytes]) -> Iterator[str]:
    for part in parts:
        text = part.strip().decode("latin-1")
        # A zone could be any text, and means nothing here.
        if len(text) > _LONGEST or "%" in text:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        yield str(getattr(address, "ipv4_mapped", None) or address)
