"""Addresses and credentials of service brokers: what is called, what connections are shared, what stays unseen."""

import base64

import pytest

from chandlery.osb.endpoint import BasicAuth, BearerAuth, BrokerEndpoint
from chandlery.osb.faults import Misconfigured


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://broker", "http://broker"),
        ("http://broker/", "http://broker"),
        ("https://broker:8443/pre/fix//", "https://broker:8443/pre/fix"),
        ("http://u:p@broker/a%2Fb", "http://broker/a%2Fb"),
        (" http://broker/x?y=1#z ", "http://broker/x"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_osb_006_base_keeps_the_prefix_and_nothing_else(url: str, base: str) -> None:
    assert BrokerEndpoint(url=url).base == base


@pytest.mark.parametrize(
    "url", ["", "broker", "//broker", "ftp://broker", "http://", "http://broker:port", "http://[x"]
)
def test_base_is_refused_when_the_url_is_no_absolute_http_url(url: str) -> None:
    with pytest.raises(Misconfigured):
        _ = BrokerEndpoint(url=url).base


def test_osb_001_basic_credentials_survive_colons_and_non_ascii_letters() -> None:
    scheme, _, value = BasicAuth("ann", "pä:ß").header.partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", "ann:pä:ß")


def test_bearer_token_loses_the_newline_that_secrets_end_in() -> None:
    assert BearerAuth("t0ken\n").header == "Bearer t0ken"


def test_credentials_in_the_url_count_only_without_others() -> None:
    url = "http://ann:p%40ss@broker"
    assert BrokerEndpoint(url=url).authorization_header == BasicAuth("ann", "p@ss").header
    assert BrokerEndpoint(url=url, authorization=BearerAuth("t")).authorization_header == "Bearer t"
    assert BrokerEndpoint(url="http://broker").authorization_header is None


def test_no_secret_is_in_any_repr() -> None:
    for authorization in (BasicAuth("ann", "s3cret"), BearerAuth("s3cret")):
        endpoint = BrokerEndpoint(url="http://u:s3cret@broker/x", authorization=authorization)
        assert "s3cret" not in repr(endpoint) + repr(authorization) + repr(endpoint.session_key) + endpoint.place


def test_connections_are_shared_when_only_credentials_or_timeouts_differ() -> None:
    one = BrokerEndpoint(url="http://broker/", authorization=BasicAuth("a", "b"))
    assert one.session_key == BrokerEndpoint(url="http://u:p@broker", timeout_seconds=5).session_key
    assert one.session_key != BrokerEndpoint(url="http://broker", ca_bundle="QQ==").session_key
    assert one.session_key != BrokerEndpoint(url="http://broker", skip_tls_verify=True).session_key
    assert one.session_key != BrokerEndpoint(url="http://broker/other").session_key
    assert hash(one) == hash(BrokerEndpoint(url="http://broker/", authorization=BasicAuth("a", "b")))
