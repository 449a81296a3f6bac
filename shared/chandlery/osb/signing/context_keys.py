"""The keys that contexts are signed with, from a file of PEM: the first private key signs, all are published.

To rotate without a gap, put the new key behind the old one, so that it is published; move it to the front once brokers
have had the time to fetch it; take the old one out when nothing signed with it is verified any more. The file is read
again when it changes. A gateway, which only publishes, can be given a file of public keys.
"""

import base64
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject

log = structlog.get_logger(__name__)

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | rsa.RSAPublicKey
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_LONGEST_FILE: Final = 256 << 10
_MOST_KEYS: Final = 20
_SHORTEST_RSA, _LONGEST_RSA = 2048, 8192
_LOOK_AGAIN: Final = 2.0
"""Seconds for which the file is not looked at again."""


@dataclass(frozen=True)
class ContextKey:
    """One key; `private` only where it may sign. Both algorithms sign the same text in the same way each time."""

    public: PublicKey
    private: PrivateKey | None = field(default=None, repr=False)

    @property
    def algorithm(self) -> str:
        """Its name in a JWT (RFC 7518, RFC 8037)."""
        return "EdDSA" if isinstance(self.public, ed25519.Ed25519PublicKey) else "RS256"

    @property
    def key_id(self) -> str:
        """The thumbprint of the public key (RFC 7638)."""
        return _base64(hashlib.sha256(write_json(dict(sorted(self._required.items())))).digest())

    @property
    def document(self) -> JsonObject:
        """The public key as a JWK (RFC 7517)."""
        return {**self._required, "alg": self.algorithm, "use": "sig", "kid": self.key_id}

    @property
    def _required(self) -> JsonObject:
        if isinstance(self.public, ed25519.Ed25519PublicKey):
            return {
                "crv": "Ed25519",
                "kty": "OKP",
                "x": _base64(self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)),
            }
        numbers = self.public.public_numbers()
        return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}


class ContextKeys:
    """The keys of a file, as they are now."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationFault if there is no key in the file."""
        self._path = path
        self._seen = (0, 0, 0)
        self._look_at = 0.0
        self._keys: Sequence[ContextKey] = ()
        self._read()

    def published(self) -> JsonObject:
        """A JWK set of all public keys."""
        return {"keys": [key.document for key in self._current()]}

    def signing(self) -> ContextKey | None:
        """The key to sign with, if the file has a private one."""
        return next((key for key in self._current() if key.private is not None), None)

    def _current(self) -> Sequence[ContextKey]:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN
            try:
                self._read()
            except ConfigurationFault as fault:
                # What was read before goes on: a file is away for a moment while it is replaced.
                log.warning(f"{fault.message}; the keys known before stay in use", action="read_context_keys")
        return self._keys

    def _read(self) -> None:
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if seen == self._seen:
                return
            with self._path.open("rb") as file:
                text = file.read(_LONGEST_FILE)
        except OSError as error:
            raise ConfigurationFault(f"{_NAME} names {self._path}, which cannot be read: {error.strerror}") from None
        self._keys = _keys_in(text, self._path)
        self._seen = seen


_NAME: Final = "CHANDLERY_CONTEXT_SIGNING_KEY_FILE"


def _keys_in(text: bytes, path: Path) -> Sequence[ContextKey]:
    blocks = list(_PEM.finditer(text))
    if not 0 < len(blocks) <= _MOST_KEYS:
        raise ConfigurationFault(f"{_NAME} names {path}, which must hold 1 to {_MOST_KEYS} keys as PEM")
    return [_key(match[0], match[1], f"key {number} in {path}") for number, match in enumerate(blocks, start=1)]


def _key(pem: bytes, kind: bytes, where: str) -> ContextKey:
    try:
        loaded = load_pem_private_key(pem, password=None) if b"PRIVATE" in kind else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's words may quote what it read.
        raise ConfigurationFault(f"{_NAME}: {where} cannot be read; it must be PEM and not encrypted") from None
    private = loaded if isinstance(loaded, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) else None
    public = private.public_key() if private is not None else loaded
    if not isinstance(public, ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        raise ConfigurationFault(f"{_NAME}: {where} must be an Ed25519 or RSA key")
    if isinstance(public, rsa.RSAPublicKey) and not _SHORTEST_RSA <= public.key_size <= _LONGEST_RSA:
        raise ConfigurationFault(f"{_NAME}: {where} must have {_SHORTEST_RSA} to {_LONGEST_RSA} bits")
    return ContextKey(public, private)


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
