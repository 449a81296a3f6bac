"""The public keys of an issuer, as its JWK set has them (RFC 7517), and which of them a token may be signed with. Pure.

Keys that cannot have signed a token are passed over: those of other types, those for encryption, those too short to be
trusted, and those so long that a signature would take noticeable time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import AllowedPublicKeys

_MOST_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 8192
_MOST_TEXT: Final = 1400
"""Characters of one number of a key: 8192 bits have 1366."""
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}


@dataclass(frozen=True)
class SigningKey:
    """One public key."""

    key_id: str | None
    algorithm: str | None
    """The one that it is for; None for every one that fits."""
    key: AllowedPublicKeys = field(compare=False)
    encoded: bytes = field(repr=False)
    """What makes it the same as another one."""

    def fits(self, algorithm: str) -> bool:
        """Whether it can have signed so."""
        if self.algorithm not in (None, algorithm):
            return False
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            return _CURVES.get(algorithm) == self.key.curve.name
        return algorithm[:2] in ("RS", "PS")


@dataclass(frozen=True)
class KeySet:
    """All that are known of one issuer."""

    keys: tuple[SigningKey, ...] = ()

    def candidates(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        """The keys that a token may be signed with. One that names none may be signed with any, as in Kubernetes."""
        return [key for key in self.keys if key.fits(algorithm) and key_id in (None, key.key_id)]


class NoUsableKey(ValueError):
    """It is a JWK set, and has nothing that a token may be signed with."""


def read_key_set(document: Any) -> KeySet:
    """The usable keys of a JWK set. Raises ValueError, which says what is wrong; NoUsableKey if it has none."""
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("its answer is not a JWK set")  # noqa: TRY004 - of a document, not of an argument
    if len(found) > _MOST_KEYS:
        raise ValueError(f"its JWK set has {len(found)} keys; at most {_MOST_KEYS} are taken")
    keys = tuple(_usable(found))
    if not keys:
        raise NoUsableKey("its JWK set has no key that can be used: RSA of 2048 to 8192 bits, P-256, P-384 or P-521")
    return KeySet(keys)


def _usable(found: Sequence[Any]) -> Iterator[SigningKey]:
    for data in found:
        if not isinstance(data, dict) or data.get("use", "sig") != "sig" or data.get("kty") not in ("RSA", "EC"):
            continue
        if any(isinstance(value, str) and len(value) > _MOST_TEXT for name, value in data.items() if name[:3] != "x5c"):
            continue
        key = _public_key(data)
        if key is not None:
            encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            yield SigningKey(_text(data.get("kid")), _text(data.get("alg")), key, encoded)


def _public_key(data: dict[str, Any]) -> AllowedPublicKeys | None:
    public = {name: value for name, value in data.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    # The family is enough: which of its algorithms a token says is checked by `fits`.
    try:
        key = jwt.PyJWK(public, algorithm="RS256" if data["kty"] == "RSA" else None).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key if _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS else None
    return cast("AllowedPublicKeys", key) if isinstance(key, ec.EllipticCurvePublicKey) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
