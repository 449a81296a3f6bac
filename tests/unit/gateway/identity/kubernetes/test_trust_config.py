"""What the cluster's ConfigMap says about whom to trust, and what is wrong with it."""

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.identity.kubernetes.trust_config import read_trust_config
from tests.support.client_authority import Authority

AUTHORITY = Authority("front-proxy")
DATA = {
    "requestheader-client-ca-file": AUTHORITY.pem,
    "requestheader-allowed-names": '["front-proxy-client","aggregator"]',
    "requestheader-username-headers": '["X-Remote-User"]',
}


def test_names_are_those_of_the_cluster() -> None:
    config = read_trust_config(DATA)
    assert config.user_headers == (b"x-remote-user",)
    assert config.uid_headers == config.group_headers == config.extra_prefixes == ()
    assert config.is_front_proxy("aggregator") and not config.is_front_proxy("ann")
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        (
            "requestheader-allowed-names",
            "front-proxy-client",
            "requestheader-allowed-names of ConfigMap .* is not JSON",
        ),
        ("requestheader-allowed-names", '{"a": 1}', "is not a list of at most 100 names"),
        ("requestheader-allowed-names", "[1]", "is not a list of at most 100 names"),
        ("requestheader-username-headers", '[" "]', "names what can be no header"),
        ("requestheader-username-headers", "[]", "names no header for the user"),
        (
            "requestheader-client-ca-file",
            "-----BEGIN",
            "requestheader-client-ca-file of .* no readable PEM certificate",
        ),
        ("client-ca-file", "no certificate", "client-ca-file of .* no readable PEM certificate"),
        ("client-ca-file", "a" * 1_000_001, "longer than 1000000 characters"),
    ],
)
def test_what_cannot_be_read_is_named(key: str, text: str, words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        read_trust_config(DATA | {key: text})


def test_cluster_without_a_front_proxy_is_warned_of() -> None:
    config = read_trust_config({"client-ca-file": AUTHORITY.pem})
    assert "--requestheader-client-ca-file" in config.warnings[0]
    assert not config.proxy


def test_front_proxy_that_everybody_can_be_is_warned_of() -> None:
    config = read_trust_config(DATA | {"requestheader-allowed-names": "[]", "client-ca-file": AUTHORITY.pem})
    assert "can speak for anybody" in config.warnings[0]


def test_comments_around_certificates_make_no_other_authorities() -> None:
    commented = read_trust_config(DATA | {"requestheader-client-ca-file": f"# théâtre\n{AUTHORITY.pem}\n# end"})
    assert commented == read_trust_config(DATA)
    assert commented.authorities.isascii()
