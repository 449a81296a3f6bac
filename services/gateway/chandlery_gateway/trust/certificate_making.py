"""Makes the gateway's authority and certificates: keys on the curve P-256, which every client of clusters knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_VALID: Final = timedelta(days=3650)
LEAF_VALID: Final = timedelta(days=90)
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_AUTHORITY_NAME: Final = "chandlery-gateway-authority"


@dataclass(frozen=True)
class MadePair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str = field(repr=False)


def make_authority(now: datetime) -> MadePair:
    """An authority that vouches for the gateway's certificates, and is known by its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Another name for each: not all clients tell authorities of one name apart.
    subject = _named(f"{_AUTHORITY_NAME}@{now:%Y%m%d%H%M%S}")
    draft = (
        _draft(subject, subject, key, now=now, valid=AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(draft, key, signer=key)


def issue_leaf(authority: MadePair, hosts: Sequence[str], now: datetime) -> MadePair:
    """A certificate for a server of these names. Raises ValueError if the authority cannot be read."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = load_pem_private_key(authority.key.encode(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != issuer.public_key():
        raise ValueError("this is not the key of the authority")
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has 64 characters at most, and names of Services may be longer.
    draft = (
        _draft(_named(hosts[0][:64]), issuer.subject, key, now=now, valid=LEAF_VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return _signed(draft, key, signer=signer)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + valid)
    )


def _signed(
    draft: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, *, signer: ec.EllipticCurvePrivateKey
) -> MadePair:
    certificate = draft.sign(signer, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return MadePair(certificate.public_bytes(Encoding.PEM).decode(), private.decode())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
