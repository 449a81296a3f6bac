"""The certificate and key that a listener shows: checked with a sentence for each thing that is wrong.

The gateway reads them before it does anything else. Connections take `TlsFiles.context` as it is when they begin.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chandlery.model.faults import ConfigurationFault

_CERTIFICATE: Final = "CHANDLERY_TLS_CERT_FILE"
_KEY: Final = "CHANDLERY_TLS_KEY_FILE"

log = structlog.get_logger()


class TlsFiles:
    """A certificate with its key, each in a PEM file."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read them. Raises ConfigurationFault that names the file and what is wrong with it."""
        self._certificate = certificate
        self._key = key
        self.context = self._read()

    @property
    def paths(self) -> tuple[Path, Path]:
        """The two files."""
        return self._certificate, self._key

    def reload(self) -> None:
        """Read them again, for connections to come. Raises ConfigurationFault, and goes on with the old ones."""
        self.context = self._read()

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
                f"the TLS certificate in {self._certificate} has expired on {shown.not_valid_after_utc:%Y-%m-%d}: "
                "clients refuse it; renew it",
                action="read_certificate",
            )
        return context


def _certificate(path: Path) -> x509.Certificate:
    """The first one in the file, which is the listener's own; those of its issuers follow."""
    try:
        return x509.load_pem_x509_certificates(_content(_CERTIFICATE, path))[0]
    except ValueError as error:
        raise ConfigurationFault(f"{_CERTIFICATE} {path} holds no PEM certificate that can be read") from error


def _read_key(path: Path) -> PrivateKeyTypes:
    content = _content(_KEY, path)
    try:
        return serialization.load_pem_private_key(content, None)
    except TypeError as error:
        raise ConfigurationFault(f"{_KEY} {path} is locked with a passphrase; store the key without one") from error
    except ValueError as error:
        raise ConfigurationFault(f"{_KEY} {path} holds no PEM private key that can be read") from error


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationFault(f"{setting} {path} cannot be read: {error.strerror}") from error
