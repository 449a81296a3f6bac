"""Certificates by which clients say who they are: the authorities that vouch for them, and what one of them says.

A listener that knows such authorities asks each client for a certificate, and takes those who have none as well. One
that no authority vouches for ends the handshake: OpenSSL verifies the chain, its times, and that it is for clients.
`BoundedConnection` puts what it says into the scope of each request; whom that makes is for the service to decide.
"""

import hashlib
import ssl
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from chandlery.model.faults import ConfigurationFault

CLIENT_CERTIFICATE: Final = "chandlery.client_certificate"
"""Where a request's ASGI scope has the verified `PresentedCertificate` of its connection."""
_SETTING: Final = "CHANDLERY_CLIENT_CA_FILE"


@dataclass(frozen=True, kw_only=True)
class PresentedCertificate:
    """A client certificate that one of the authorities vouches for."""

    common_name: str
    organizations: tuple[str, ...]
    is_for_clients: bool
    """Whether it says itself that it is (extended key usage `clientAuth`)."""
    valid_from: datetime
    valid_until: datetime
    fingerprint: str
    """SHA-256 in hexadecimal."""
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    """It, and the certificates that lead from it to an authority as far as they are known, in DER."""

    def is_valid(self, now: datetime) -> bool:
        """Whether it counts at the moment: a connection may outlast its certificate."""
        return self.valid_from <= now <= self.valid_until


def read_presented(transport: Any) -> PresentedCertificate | None:
    """What the client of a connection has shown; None if it has shown nothing, or nobody has verified it."""
    connection = transport.get_extra_info("ssl_object")
    if connection is None or connection.context.verify_mode is ssl.CERT_NONE:
        return None
    encoded = connection.getpeercert(binary_form=True)
    found = read_certificate(encoded) if encoded else None
    return replace(found, chain=(encoded, *_issuers(connection))) if found else None


def _issuers(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """The chain that OpenSSL has verified, without its beginning. A session that is resumed has none."""
    # What Python 3.13 has a name for is there before. Without it clients come without intermediate authorities.
    inner = getattr(connection, "_sslobj", None)
    get_chain = getattr(inner, "get_verified_chain", None)
    verified = (get_chain() if get_chain is not None else None) or ()
    return tuple(ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in verified[1:])


def read_certificate(encoded: bytes) -> PresentedCertificate | None:
    """What a certificate says; None for one that OpenSSL may understand, but nobody else."""
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        common_names = _texts(certificate, NameOID.COMMON_NAME)
        return PresentedCertificate(
            # Of several names the last one, as Go takes it.
            common_name=common_names[-1] if common_names else "",
            organizations=_texts(certificate, NameOID.ORGANIZATION_NAME),
            is_for_clients=_is_for_clients(certificate),
            valid_from=certificate.not_valid_before_utc,
            valid_until=certificate.not_valid_after_utc,
            fingerprint=hashlib.sha256(encoded).hexdigest(),
        )
    except (ValueError, TypeError):
        return None


def _texts(certificate: x509.Certificate, oid: ObjectIdentifier) -> tuple[str, ...]:
    found = (attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid))
    return tuple(value if isinstance(value, str) else "" for value in found)


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages


def read_certificates(setting: str, path: Path) -> tuple[bytes, list[x509.Certificate]]:
    """A PEM file of certificates, and what is in it. Raises ConfigurationFault that names the setting and the file."""
    try:
        content = path.read_bytes()
        return content, x509.load_pem_x509_certificates(content)
    except OSError as error:
        raise ConfigurationFault(f"{setting} {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationFault(f"{setting} {path} contains no readable PEM certificate") from error


def read_authorities(path: Path) -> str:
    """The authorities in a file, as PEM. Raises ConfigurationFault that says what is wrong with it."""
    content, found = read_certificates(_SETTING, path)
    if all(authority.not_valid_after_utc < datetime.now(UTC) for authority in found):
        raise ConfigurationFault(f"{_SETTING} {path}: all certificates in it have expired")
    return content.decode("latin-1")


def ask_for_certificates(
    context: ssl.SSLContext, authorities: str, *, source: str = _SETTING, partial_chains: bool = False
) -> None:
    """Ask clients for a certificate of these authorities, and take those who have none all the same.

    With `partial_chains` an authority counts by itself, whoever vouches for it, as in Go. Raises ConfigurationFault
    that names the `source`.
    """
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationFault(f"{source}: its certificates cannot be used: {error}") from error
    if partial_chains:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_OPTIONAL
