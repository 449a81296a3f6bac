"""What the Secret of the gateways holds: their certificate, its key, the authorities behind it, the newest one's key.

Comes in and goes out: the `data` of a Secret (`tls.crt`, `tls.key`, `ca.crt`, `ca.key`), in base64.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.trust.certificate_making import MadePair

_CHAIN, _KEY, _BUNDLE, _AUTHORITY_KEY = "tls.crt", "tls.key", "ca.crt", "ca.key"
_LONGEST: Final = 100_000


@dataclass(frozen=True)
class StoredCertificate:
    """All of it, in PEM."""

    leaf: MadePair
    bundle: tuple[str, ...]
    """The authorities that clients are to know, the newest first; it signs the next certificate."""
    authority_key: str = field(repr=False)
    """That of the newest."""

    @property
    def authority(self) -> MadePair:
        """The newest."""
        return MadePair(self.bundle[0], self.authority_key)

    @property
    def bundle_text(self) -> str:
        """What a `caBundle` says."""
        return "".join(self.bundle)

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The gateway's own."""
        return x509.load_pem_x509_certificate(self.leaf.certificate.encode())

    @cached_property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """As in the bundle."""
        return tuple(x509.load_pem_x509_certificate(each.encode()) for each in self.bundle)

    @property
    def names(self) -> frozenset[str]:
        """The names of servers that it is for."""
        found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return frozenset(found.get_values_for_type(x509.DNSName))

    @property
    def ends_at(self) -> datetime:
        """When the gateway's own is valid no more."""
        return self.certificate.not_valid_after_utc

    @property
    def issuer(self) -> str | None:
        """Which authority of the bundle has signed it; None if it is none of them."""
        for text, authority in zip(self.bundle, self.authorities, strict=True):
            try:
                self.certificate.verify_directly_issued_by(authority)
            except Exception:  # noqa: BLE001, S112 - of a wrong name, a wrong key, a wrong signature: another one each
                continue
            return text
        return None


def read_stored(secret: Mapping[str, Any]) -> StoredCertificate | None:
    """What is in the Secret; None if it is empty, or what we have written there can be read no more.

    Raises:
        ConfigurationFault: somebody else keeps a certificate there.
    """
    data = secret.get("data")
    texts = {key: _text(data, key) for key in (_CHAIN, _KEY, _BUNDLE, _AUTHORITY_KEY)}
    if not texts[_AUTHORITY_KEY]:
        if texts[_CHAIN] or texts[_KEY]:
            name = (secret.get("metadata") or {}).get("name", "")
            raise ConfigurationFault(
                f"Secret {name} holds a certificate that no gateway has made: mount it and set "
                "CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE, or name another Secret"
            )
        return None
    try:
        bundle = split_bundle(texts[_BUNDLE])
        found = StoredCertificate(MadePair(texts[_CHAIN], texts[_KEY]), bundle, texts[_AUTHORITY_KEY])
        keys = [load_pem_private_key(text.encode(), None) for text in (found.leaf.key, found.authority_key)]
        is_whole = (
            keys[0].public_key() == found.certificate.public_key()
            and keys[1].public_key() == found.authorities[0].public_key()
            and found.names
        )
    except (ValueError, TypeError, IndexError, x509.ExtensionNotFound, UnsupportedAlgorithm):
        return None
    return found if is_whole else None


def secret_data(stored: StoredCertificate) -> dict[str, str]:
    """The data of the Secret."""
    texts = {
        _CHAIN: stored.leaf.certificate,
        _KEY: stored.leaf.key,
        _BUNDLE: stored.bundle_text,
        _AUTHORITY_KEY: stored.authority_key,
    }
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def split_bundle(text: str) -> tuple[str, ...]:
    """The certificates in a PEM text, each written the same way. Raises ValueError if there is none."""
    found = x509.load_pem_x509_certificates(text.encode())
    return tuple(each.public_bytes(Encoding.PEM).decode() for each in found)


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        return ""
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
