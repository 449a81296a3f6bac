"""Where brokers may be, by the lists of an operator and of a namespace."""

from ipaddress import ip_address

import pytest

from chandlery.reconcile.egress.egress_policy import STRICT, EgressPolicy
from chandlery.reconcile.egress.egress_rules import LOOPBACK, NO_RULES, parse_rules
from chandlery.reconcile.egress.host_spelling import host_of

NAMED = host_of("https://db.brokers.example.com")


def policy(*, allow: str = "", deny: str = "", trusted: str = "") -> EgressPolicy:
    return EgressPolicy(trusted=parse_rules(trusted)).narrowed(allow=parse_rules(allow), deny=parse_rules(deny))


@pytest.mark.parametrize(
    ("rules", "url", "allowed"),
    [
        ({}, "http://10.0.0.1", True),
        ({}, "https://broker.example.com", True),
        ({}, "http://127.0.0.1", False),
        ({}, "http://[::1]", False),
        ({}, "http://169.254.169.254", False),
        ({}, "http://localhost", False),
        ({}, "http://LOCALHOST.", False),
        ({}, "http://a.localhost", False),
        ({}, "http://metadata.google.internal", False),
        ({"trusted": LOOPBACK}, "http://127.0.0.1:5000", True),
        ({"trusted": LOOPBACK}, "http://localhost:5000", True),
        ({"trusted": LOOPBACK}, "http://169.254.169.254", False),
        ({"trusted": LOOPBACK}, "http://metadata.google.internal", False),
        ({"trusted": LOOPBACK, "deny": "127.0.0.0/8"}, "http://127.0.0.1", False),
        ({"deny": "10.0.0.0/8"}, "http://10.0.0.1", False),
        ({"deny": "10.0.0.0/8"}, "http://11.0.0.1", True),
        ({"deny": "*.example.com"}, "https://broker.example.com", False),
        ({"deny": "*.example.com"}, "https://broker.example.com.", False),
        ({"deny": "*.example.com"}, "https://example.com", True),
        ({"deny": "*.example.com"}, "https://badexample.com", True),
        ({"deny": "http:"}, "http://10.0.0.1", False),
        ({"deny": "http:"}, "https://10.0.0.1", True),
        ({"allow": "https:"}, "http://10.0.0.1", False),
        ({"allow": "https:"}, "https://10.0.0.1", True),
        ({"allow": "10.0.0.0/8"}, "http://10.0.0.1", True),
        ({"allow": "10.0.0.0/8"}, "http://11.0.0.1", False),
        ({"allow": "10.0.0.0/8", "deny": "10.0.0.1"}, "http://10.0.0.1", False),
        ({"allow": "0.0.0.0/0"}, "http://127.0.0.1", False),
        ({"allow": "*.example.com"}, "http://10.0.0.1", False),
        ({"allow": "*.example.com"}, "http://other.example.org", False),
        ({"allow": "*.example.com"}, "http://a.b.example.com", True),
        # What it resolves to is looked at later.
        ({"allow": "10.0.0.0/8"}, "http://other.example.org", True),
    ],
)
def test_url_is_allowed_or_not(rules: dict[str, str], url: str, allowed: bool) -> None:
    assert (policy(**rules).url_problem(url) is None) == allowed


@pytest.mark.parametrize(
    ("rules", "address", "allowed"),
    [
        ({}, "10.0.0.1", True),
        ({}, "127.0.0.1", False),
        ({}, "::ffff:127.0.0.1", False),
        ({}, "64:ff9b::a9fe:a9fe", False),
        ({}, "64:ff9b::808:808", True),
        ({"trusted": LOOPBACK}, "::ffff:127.0.0.1", True),
        # One of the two that it carries is trusted, the other is not.
        ({"trusted": LOOPBACK}, "2001:0:7f00:1:0:0:5601:5601", False),
        ({"deny": "8.8.8.8"}, "64:ff9b::808:808", False),
        ({"allow": "10.0.0.0/8"}, "10.9.9.9", True),
        ({"allow": "10.0.0.0/8"}, "11.0.0.1", False),
        ({"allow": "10.0.0.0/8, *.example.com"}, "11.0.0.1", True),
        ({"allow": "*.example.com"}, "127.0.0.1", False),
        ({"allow": "*.example.com", "deny": "11.0.0.0/8"}, "11.0.0.1", False),
    ],
)
def test_address_of_a_name_is_allowed_or_not(rules: dict[str, str], address: str, allowed: bool) -> None:
    assert (policy(**rules).address_problem(ip_address(address), NAMED) is None) == allowed


def test_lists_of_a_namespace_only_narrow() -> None:
    wide = policy(allow="10.0.0.0/8", deny="10.1.0.0/16")
    narrow = wide.narrowed(allow=parse_rules("10.1.0.0/16 10.2.0.0/16 127.0.0.0/8 11.0.0.0/8"))
    hosts = ("10.1.0.1", "10.2.0.1", "10.3.0.1", "11.0.0.1", "127.0.0.1")
    assert [host for host in hosts if narrow.url_problem(f"http://{host}") is None] == ["10.2.0.1"]
    assert wide.narrowed(allow=NO_RULES, deny=NO_RULES) is wide


def test_a_name_that_a_proxy_resolves_has_to_be_allowed_by_name() -> None:
    by_network = policy(allow="10.0.0.0/8")
    assert by_network.url_problem("https://broker.example.com") is None
    assert by_network.url_problem("https://broker.example.com", by_proxy=True) is not None
    assert policy(allow="*.example.com").url_problem("https://broker.example.com", by_proxy=True) is None
    assert STRICT.url_problem("https://broker.example.com", by_proxy=True) is None
    assert STRICT.url_problem("http://169.254.169.254", by_proxy=True) is not None


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1/8", "10.0.0.0/33", "1.2.3", "*.*.example.com", "ex*mple.com", "ftp:", "a b/", "http://x", "x" * 64],
)
def test_list_that_cannot_be_read_is_refused_with_its_entry(text: str) -> None:
    with pytest.raises(ValueError, match="is not a network"):
        parse_rules(text)


def test_lists_are_bounded() -> None:
    with pytest.raises(ValueError, match="more than 500 entries"):
        parse_rules("a " * 501)
    with pytest.raises(ValueError, match="is longer than"):
        parse_rules("a" * 40_000)
