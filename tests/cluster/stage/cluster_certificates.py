"""Authorities of a cluster, as kubeadm makes them, each replaceable, and the certificates that they issue."""

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.authority import draft_of
from tests.support.client_authority import Shown

_RSA_BITS: Final = 2048


class ClusterAuthority:
    """Its certificate is in the file `bundle`, with those of its predecessors for as long as they are trusted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.bundle = folder / f"{name}-ca.pem"
        self._folder = folder
        self._name = name
        self._generation = 0
        self._trusted: list[str] = []
        self.renew(trust_old=False)

    @property
    def pem(self) -> str:
        """The bundle: what is trusted now."""
        return self.bundle.read_text()

    def renew(self, *, trust_old: bool = True) -> None:
        """Replace key and certificate; with `trust_old` the bundle goes on holding the old certificates, too."""
        self._generation += 1
        self._key = ec.generate_private_key(ec.SECP256R1())
        # Another name for each: verifiers look for the issuer by it.
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self._name}-{self._generation}")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True,
            content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            draft_of(self._subject, self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        kept = self._trusted if trust_old else []
        self._trusted = [*kept, certificate.public_bytes(Encoding.PEM).decode()]
        replace_file(self.bundle, "".join(self._trusted))

    def issue(self, file: str, name: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Shown:
        """Files with a certificate and its key: of a server for these hosts, else of a client in these groups."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        draft = draft_of(x509.Name(subject), self._subject, key).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            draft = draft.add_extension(names, critical=False)
        shown = Shown(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        replace_file(shown.certificate, draft.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode())
        replace_file(shown.key, _private(key))
        return shown


def account_keys(folder: Path) -> Shown:
    """What tokens of service accounts are signed with, and what they are verified with; in `certificate` the latter."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    shown = Shown(folder / "service-accounts.pub", folder / "service-accounts.key")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    replace_file(shown.certificate, public.decode())
    replace_file(shown.key, _private(key))
    return shown


def replace_file(path: Path, text: str) -> None:
    """In one step, for somebody may read it at any moment."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
