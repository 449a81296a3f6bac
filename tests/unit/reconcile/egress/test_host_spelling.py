"""A URL means one host to everybody, or is refused."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from chandlery.reconcile.egress.host_spelling import OddSpelling, host_of


@pytest.mark.parametrize(
    ("url", "name", "is_address"),
    [
        ("http://broker.example.com", "broker.example.com", False),
        ("https://Broker.Example.COM:8443/base", "broker.example.com", False),
        ("http://broker.example.com.", "broker.example.com", False),
        ("http://broker", "broker", False),
        ("http://my_broker.team.svc.cluster.local", "my_broker.team.svc.cluster.local", False),
        ("http://bücher.example", "xn--bcher-kva.example", False),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example", False),
        ("http://10.1.2.3:80", "10.1.2.3", True),
        ("http://[fd12::1]:80", "fd12::1", True),
        ("http://[FD12:0:0::1]", "fd12::1", True),
        ("http://ann:pw@10.1.2.3", "10.1.2.3", True),
        ("http://10.1.2.3#@example.com", "10.1.2.3", True),
        ("http://10.1.2.3?@example.com", "10.1.2.3", True),
    ],
)
def test_host_is_read(url: str, name: str, is_address: bool) -> None:
    host = host_of(url)
    assert (host.name, host.address is not None) == (name, is_address)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "127.0.0.1.",
        "010.0.0.1",
        "10.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "name.0x1",
        "name.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.x]",
        "[::1",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "127\uff0e0\uff0e0\uff0e1",
        "\u24dbocalhost",
        "local\u00adhost",
        "%31%32%37.0.0.1",
        "localhost%00.example.com",
        "good.example\\@127.0.0.1",
        "good.example@evil.example@127.0.0.1",
        "bro ker",
        "bro\tker",
        "a..b",
        "localhost..",
        "-a.example",
        "x" * 64,
        ".".join(["x" * 60] * 5),
        "",
        ":80",
        "[]@",
        "[::1]@",
    ],
)
def test_odd_spelling_is_refused(host: str) -> None:
    with pytest.raises(OddSpelling, match=r"^must "):
        host_of(f"http://{host}/v2")


@given(st.text(alphabet="0123456789abcdefxX.:[]%@\\-_ \u3002\uff11", max_size=24))
def test_no_name_is_an_address_to_somebody_else(host: str) -> None:
    try:
        found = host_of(f"http://{host}/v2")
    except OddSpelling:
        return
    if found.address is None:
        # What every C program takes for an address.
        with pytest.raises(OSError, match="illegal"):
            socket.inet_aton(found.name)
    else:
        assert host_of(f"http://{host}") == host_of(str(URL(f"http://{host}")))


@pytest.mark.parametrize("url", ["", "broker", "//broker", "http:broker", "http:/broker", "http://" + "x/" * 5000])
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(OddSpelling):
        host_of(url)
