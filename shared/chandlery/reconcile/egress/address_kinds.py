"""What an IP address is for, and which ones no service broker has. Pure.

Source: the registries of special-purpose addresses of IANA (RFC 6890 and its successors), and the addresses at which
clouds hand out credentials to the machine that asks.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER: Final = tuple(
    (ip_network(network), words)
    for network, words in (
        # The exact ones first: their words say more.
        ("169.254.169.254/32", "the metadata address of a cloud"),
        ("169.254.170.2/32", "the metadata address of a cloud"),
        ("169.254.170.23/32", "the metadata address of a cloud"),
        ("100.100.100.200/32", "the metadata address of a cloud"),
        ("168.63.129.16/32", "the metadata address of a cloud"),
        ("192.0.0.192/32", "the metadata address of a cloud"),
        ("fd00:ec2::254/128", "the metadata address of a cloud"),
        ("fd00:ec2::23/128", "the metadata address of a cloud"),
        ("fd20:ce::254/128", "the metadata address of a cloud"),
        ("fd00:42::42/128", "the metadata address of a cloud"),
        ("0.0.0.0/8", "an unspecified address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("192.0.0.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
        ("100::/64", "a reserved address"),
    )
)
_COMPATIBLE: Final = IPv6Network("::/96")
_ENDS_WITH_IPV4: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))
"""Of NAT64 (RFC 6052, RFC 8215) and of SIIT (RFC 2765)."""
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_SMALLEST_COMPATIBLE: Final = 0x10000
"""Below it are `::` and `::1`, and nothing that an IPv4 address could be."""
_LOW_32: Final = 0xFFFFFFFF


def special_use(address: Address) -> str | None:
    """What the address itself is for, in words, if no service broker can be there; None if one may.

    Ask for each of the `forms_of` an address: where an IPv6 address carries an IPv4 address, the packet goes there.
    """
    return next((words for network, words in _NEVER if is_within(address, network)), None)


def carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for or leads to."""
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _COMPATIBLE and number >= _SMALLEST_COMPATIBLE:
        yield IPv4Address(number & _LOW_32)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in prefix for prefix in _ENDS_WITH_IPV4) or (number >> 32) & _LOW_32 in _ISATAP:
        yield IPv4Address(number & _LOW_32)


def forms_of(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 addresses that it carries: rules about networks hold for each of them."""
    return (address,) if isinstance(address, IPv4Address) else (address, *carried(address))


def is_within(address: Address, network: Network) -> bool:
    """Whether the address is of the network; one of the other version never is."""
    return address.version == network.version and address in network
