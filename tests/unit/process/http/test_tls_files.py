"""The certificate of a listener: what is wrong with it is said with the file's name, and a new one takes its place."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http import tls_files as certificates
from chandlery.process.http.accepting import Manners
from chandlery.process.http.http_server import listen, serve_http
from chandlery.process.http.tls_files import TlsFiles, self_signed


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    _renew(tmp_path)
    return tmp_path / "tls.crt", tmp_path / "tls.key"


def _renew(folder: Path) -> bytes:
    certificate, key = self_signed("127.0.0.1")
    (folder / "tls.crt").write_text(certificate)
    (folder / "tls.key").write_text(key)
    return ssl.PEM_cert_to_DER_cert(certificate)


def _lock(path: Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"passphrase")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    path.write_bytes(key.private_bytes(*form, secret))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda crt, _: crt.unlink(), r"CHANDLERY_TLS_CERT_FILE \S+tls\.crt cannot be read: No such file or directory"),
        (lambda _, key: key.unlink(), r"CHANDLERY_TLS_KEY_FILE \S+tls\.key cannot be read: No such file or directory"),
        (
            lambda crt, _: crt.write_text("no certificate"),
            r"CHANDLERY_TLS_CERT_FILE \S+tls\.crt contains no readable PEM certif",
        ),
        (
            lambda crt, _: crt.write_text(""),
            r"CHANDLERY_TLS_CERT_FILE \S+tls\.crt contains no readable PEM certificate",
        ),
        (
            lambda _, key: key.write_text("no key"),
            r"CHANDLERY_TLS_KEY_FILE \S+tls\.key contains no readable PEM private key",
        ),
        (lambda _, key: _lock(key), r"CHANDLERY_TLS_KEY_FILE \S+tls\.key is protected by a passphrase"),
        (
            lambda _, key: key.write_text(self_signed("x")[1]),
            r"CHANDLERY_TLS_KEY_FILE \S+tls\.key is not the key of the certificate in CHANDLERY_TLS_CERT_FILE ",
        ),
    ],
    ids=["no certificate file", "no key file", "no certificate", "empty", "no key", "passphrase", "other key"],
)
def test_what_is_wrong_is_said_with_the_name_of_the_file(
    pair: tuple[Path, Path], spoil: Callable[[Path, Path], None], words: str
) -> None:
    spoil(*pair)
    with pytest.raises(ConfigurationFault, match=words):
        TlsFiles(*pair)


def test_certificate_that_has_expired_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_VALID", timedelta(minutes=-1))
    _renew(tmp_path)
    with capture_logs() as logged:
        TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    assert ["has expired on" in line["event"] for line in logged] == [True]


async def _shown(port: int) -> bytes:
    """The certificate that a new client gets to see."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_renewed_certificate_is_shown_to_new_clients_and_a_bad_one_never(pair: tuple[Path, Path]) -> None:
    first = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
    files = TlsFiles(*pair)
    listener, stop = listen("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(serve_http(None, listener, stop, manners=Manners(tls=files)))
    port = listener.getsockname()[1]
    async with asyncio.timeout(60):
        assert await _shown(port) == first
        second = _renew(pair[0].parent)
        files.reload()
        assert await _shown(port) == second
        pair[1].write_text("half a key")
        with pytest.raises(ConfigurationFault):
            files.reload()
        assert await _shown(port) == second
        assert files.ends_at == x509.load_der_x509_certificate(second).not_valid_after_utc
        stop.set()
        await serving
