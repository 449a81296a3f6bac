"""The URL of RabbitMQ: what its options may say, and that a wrong one is one sentence without the password."""

import re
from pathlib import Path

import pytest

from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles, parse_urls
from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.tls_files import self_signed

PLAIN = "amqp://u:hunter2@h/"
TLS = "amqps://u:hunter2@h/"


def refusal(url: str, *, ca_file: Path | None = None) -> str:
    with pytest.raises(ConfigurationFault) as caught:
        parse_urls(url, tls=TlsFiles(ca=ca_file))
    assert "hunter2" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"{PLAIN}?heartbeet=5", "CHANDLERY_AMQP_URL has an unknown option 'heartbeet'; did you mean \"heartbeat\"?"),
        (f"{PLAIN}?verify=verify_peer", "CHANDLERY_AMQP_URL has an unknown option 'verify'"),
        (
            f"{PLAIN}?heartbeat=often",
            "CHANDLERY_AMQP_URL: heartbeat is 'often'; it is a number of seconds, up to 65535",
        ),
        (
            f"{PLAIN}?heartbeat=70000",
            "CHANDLERY_AMQP_URL: heartbeat is '70000'; it is a number of seconds, up to 65535",
        ),
        (f"{PLAIN}?heartbeat=-1", "CHANDLERY_AMQP_URL: heartbeat is '-1'; it is a number of seconds, up to 65535"),
        (f"{PLAIN}?auth=kerberos", "CHANDLERY_AMQP_URL: auth is 'kerberos'; it can be: plain, external"),
        (f"{PLAIN}?certfile=/c", "CHANDLERY_AMQP_URL has certfile, which has an effect only with amqps://"),
        (f"{TLS}?keyfile=/k", "CHANDLERY_AMQP_URL has a keyfile but no certfile"),
        (
            f"{TLS}?cafile=/nowhere/ca",
            "the cafile in CHANDLERY_AMQP_URL /nowhere/ca cannot be read: No such file or directory",
        ),
        (
            f"{TLS}?certfile=/nowhere/c",
            "the certfile /nowhere/c and keyfile in CHANDLERY_AMQP_URL cannot be used: No such file or directory",
        ),
        (f"{TLS},{PLAIN}?foo=1", "CHANDLERY_AMQP_URL has an unknown option 'foo'"),
        ("amqp://u:1?hunter2@h/", "CHANDLERY_AMQP_URL has an unknown option after its ?"),
        ("amqp://[u]:hunter2@/", "CHANDLERY_AMQP_URL cannot be read; it looks like amqp[s]://"),
    ],
)
def test_an_option_that_is_unknown_or_wrong_is_one_sentence(url: str, message: str) -> None:
    assert refusal(url).startswith(message)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "no PEM"])
def test_a_ca_file_that_cannot_be_used_is_named_with_its_setting(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.crt"
    if content:
        path.write_text(content)
    assert re.match(rf"CHANDLERY_AMQP_CA_FILE {path} (cannot be read|contains no PEM)", refusal(TLS, ca_file=path))


def test_options_that_the_client_honours_are_handed_on(tmp_path: Path) -> None:
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    pem, secret = self_signed("127.0.0.1")
    certificate.write_text(pem)
    key.write_text(secret)
    [url] = parse_urls(
        f"{TLS}?certfile={certificate}&keyfile={key}&auth=external&heartbeat=0", tls=TlsFiles(ca=certificate)
    )
    assert dict(url.query) == {
        "heartbeat": "0",
        "auth": "external",
        "cafile": str(certificate),
        "certfile": str(certificate),
        "keyfile": str(key),
    }


def test_a_heartbeat_is_asked_for_where_the_url_says_nothing() -> None:
    assert [dict(url.query) for url in parse_urls(f"{PLAIN}, {TLS}")] == [{"heartbeat": "10"}] * 2
