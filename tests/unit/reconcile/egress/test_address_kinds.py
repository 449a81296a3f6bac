"""What addresses are for, also those that are carried inside of others."""

from ipaddress import IPv6Address, ip_address

import pytest

from chandlery.reconcile.egress.address_kinds import carried, special_use


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("192.0.0.8", "reserved"),
        ("fec0::1", "site-local"),
    ],
)
def test_address_of_a_special_use_is_told(text: str, use: str) -> None:
    assert use in (special_use(ip_address(text)) or "")


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "fd12::1", "2600::1"]
)
def test_address_where_a_broker_may_be_has_none(text: str) -> None:
    assert special_use(ip_address(text)) is None


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("::ffff:127.0.0.1", {"127.0.0.1"}),
        ("::127.0.0.1", {"127.0.0.1"}),
        ("2002:7f00:1::", {"127.0.0.1"}),
        ("64:ff9b::7f00:1", {"127.0.0.1"}),
        ("64:ff9b:1::a9fe:a9fe", {"169.254.169.254"}),
        ("::ffff:0:127.0.0.1", {"127.0.0.1"}),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", {"65.54.227.120", "127.0.0.1"}),
        ("fd12::5efe:127.0.0.1", {"127.0.0.1"}),
        ("2600::200:5efe:7f00:1", {"127.0.0.1"}),
        ("::1", set()),
        ("::", set()),
        ("2600::1", set()),
    ],
)
def test_addresses_that_another_one_carries_are_found(text: str, inner: set[str]) -> None:
    assert {str(each) for each in carried(IPv6Address(text))} == inner
