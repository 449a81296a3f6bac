"""Authorities and client certificates for tests, as an operator makes them."""

import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from chandlery.process.http.presented_certificates import PresentedCertificate, read_certificate
from tests.support.authority import draft_of


@dataclass(frozen=True)
class Shown:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for clients."""

    def __init__(self, name: str = "clients") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            draft_of(self._name, self._name, self._key)
            .add_extension(constraints, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """What a listener is given."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def vouched(self, name: str, *organizations: str, **given: Any) -> PresentedCertificate:
        """What a connection knows of a client with such a certificate."""
        with tempfile.TemporaryDirectory() as folder:
            shown = self.issue(Path(folder), name, *organizations, **given)
            der = ssl.PEM_cert_to_DER_cert(shown.certificate.read_text())
        found = read_certificate(der)
        assert found is not None
        return replace(found, chain=(der, ssl.PEM_cert_to_DER_cert(self.pem)))

    def signed_by(self, signer: Shown, folder: Path, name: str) -> Shown:
        """What the owner of a certificate makes who takes themselves for an authority, with theirs behind it."""
        other = Authority()
        own = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
        key = load_pem_private_key(signer.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        other._key, other._name = key, own.subject
        forged = other.issue(folder, name)
        forged.certificate.write_bytes(forged.certificate.read_bytes() + signer.certificate.read_bytes())
        return forged

    def issue(
        self,
        folder: Path,
        name: str,
        *organizations: str,
        usages: Sequence[ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
        valid_for: timedelta = timedelta(hours=1),
    ) -> Shown:
        """A certificate of a client, in two files of the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
        if name:
            subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        builder = draft_of(x509.Name(subject), self._name, key, valid_for=valid_for)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = f"{name or 'nobody'}-{certificate.serial_number:x}"
        shown = Shown(folder / f"{stem}.crt", folder / f"{stem}.key")
        shown.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        shown.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return shown
