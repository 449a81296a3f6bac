"""The self-signed certificate, used as a server and a client of TLS use it."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from chandlery.process.http.tls_files import self_signed


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = self_signed("127.0.0.1", "::1", "localhost")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    return tmp_path / "tls.crt", tmp_path / "tls.key"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_client_that_trusts_the_certificate_accepts_the_server(host: str, files: tuple[Path, Path]) -> None:
    handshake(files, host)


def test_client_refuses_a_server_by_another_name(files: tuple[Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "elsewhere.example")


def test_client_that_does_not_know_the_certificate_refuses_the_server(files: tuple[Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, "localhost", trusts=False)


def test_certificate_is_valid_for_years_and_names_only_what_it_was_asked_for(files: tuple[Path, Path]) -> None:
    certificate = x509.load_pem_x509_certificate(files[0].read_bytes())
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now
    assert certificate.not_valid_after_utc > now + timedelta(days=3 * 365)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    expected = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.IPAddress) == expected


def test_no_two_certificates_share_a_key() -> None:
    assert self_signed("localhost")[1] != self_signed("localhost")[1]


def handshake(files: tuple[Path, Path], host: str, *, trusts: bool = True) -> None:
    """TLS between a server and a client that talk through memory; raises what the client objects to."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*files)
    asking = ssl.create_default_context(cafile=str(files[0]) if trusts else None)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            return
    raise AssertionError("the handshake does not end")
