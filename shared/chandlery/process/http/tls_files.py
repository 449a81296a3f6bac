"""The certificate and key that a listener shows: checked with a sentence for each thing that is wrong.

The gateway reads them before it does anything else. Connections take `TlsFiles.context` as it is when they begin.
"""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.listener_tls import AUTHORITIES, Judge
from chandlery.process.http.presented_certificates import ask_for_certificates, read_authorities

_VALID = timedelta(days=3650)


def self_signed(*hosts: str) -> tuple[str, str]:
    """Certificate and private key as PEM, for these addresses and names; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chandlery")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


log = structlog.get_logger(__name__)

_CERTIFICATE: Final = "CHANDLERY_TLS_CERT_FILE"
_KEY: Final = "CHANDLERY_TLS_KEY_FILE"


class TlsFiles:
    """See ListenerTls: a certificate and its key, each in a PEM file; perhaps the authorities of clients in a third."""

    def __init__(self, certificate: Path, key: Path, *, client_authorities: Path | None = None) -> None:
        """Read them. Raises ConfigurationFault that names the file and what is wrong with it."""
        self._certificate = certificate
        self._key = key
        self._authorities_file = client_authorities
        self._authorities = read_authorities(client_authorities) if client_authorities else ""
        self._source = "CHANDLERY_CLIENT_CA_FILE"
        self._on_new_authorities: list[Callable[[Judge], None]] = []
        self.ends_at = datetime.now(UTC)
        """When the certificate in use is valid no more."""
        self.context = self._read()

    @property
    def paths(self) -> tuple[Path, Path]:
        """The two files."""
        return self._certificate, self._key

    def reload(self) -> None:
        """Read them again, for connections to come. Raises ConfigurationFault, and goes on with the old ones."""
        self.context = self._read()

    def reload_authorities(self) -> None:
        """The same for the authorities of clients. Connections that have shown a certificate are to begin anew."""
        before = self._authorities
        self._authorities = read_authorities(self._authorities_file) if self._authorities_file else ""
        try:
            self.context = self._read()
        except ConfigurationFault:
            self._authorities = before
            raise
        for do in self._on_new_authorities:
            do(lambda _: False)

    def trust(self, authorities: str, *, is_good: Judge) -> None:
        """See ListenerTls."""
        before = self._authorities, self._source
        self._authorities, self._source = authorities, AUTHORITIES
        try:
            self.context = self._read()
        except ConfigurationFault:
            self._authorities, self._source = before
            raise
        for do in self._on_new_authorities:
            do(is_good)

    def on_new_authorities(self, do: Callable[[Judge], None]) -> None:
        """Have this done whenever others vouch for clients than before."""
        self._on_new_authorities.append(do)

    def _read(self) -> ssl.SSLContext:
        shown, key = _certificate(self._certificate), _read_key(self._key)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if key.public_key().public_bytes(*form) != shown.public_key().public_bytes(*form):
            raise ConfigurationFault(
                f"{_KEY} {self._key} is not the key of the certificate in {_CERTIFICATE} {self._certificate}"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationFault(
                f"the TLS certificate in {self._certificate} with the key in {self._key} cannot be used: {error}"
            ) from error
        if shown.not_valid_after_utc < datetime.now(UTC):
            log.warning(
                f"the TLS certificate in {self._certificate} has expired on "
                f"{shown.not_valid_after_utc:%Y-%m-%d}: clients refuse it, so renew it",
                action="read_certificate",
            )
        if self._authorities:
            is_given = self._source is AUTHORITIES
            ask_for_certificates(context, self._authorities, source=self._source, partial_chains=is_given)
        self.ends_at = shown.not_valid_after_utc
        return context


def _certificate(path: Path) -> x509.Certificate:
    """The first one in the file, which is the listener's own; those of its issuers follow."""
    try:
        return x509.load_pem_x509_certificates(_content(_CERTIFICATE, path))[0]
    except ValueError as error:
        raise ConfigurationFault(f"{_CERTIFICATE} {path} contains no readable PEM certificate") from error


def _read_key(path: Path) -> PrivateKeyTypes:
    content = _content(_KEY, path)
    try:
        return serialization.load_pem_private_key(content, None)
    except TypeError as error:
        raise ConfigurationFault(f"{_KEY} {path} is protected by a passphrase; store the key without one") from error
    except ValueError as error:
        raise ConfigurationFault(f"{_KEY} {path} contains no readable PEM private key") from error


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationFault(f"{setting} {path} cannot be read: {error.strerror}") from error
