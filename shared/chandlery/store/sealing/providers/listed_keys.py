"""Key-encryption keys from the settings and from a file: `name:base64` of 32 bytes each. The first wraps, all unwrap.

The file is read again when it has changed (`reread`), so keys are rotated without a restart.
"""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chandlery.model.faults import ConfigurationFault
from chandlery.store.sealing.providers.key_provider import KeyRefused
from chandlery.store.sealing.sealing import Keyring, SealingKey, parse_keys

_NONCE_BYTES = 12
_PURPOSE = "wrapping of data keys"
_MOST_BYTES = 1 << 20
_BETWEEN = re.compile(r"[,\n]")


class ListedKeys:
    """The keys that a keyring has."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def key_in_use(self) -> str:
        """The first one."""
        return self._keyring.name

    async def wrap(self, plain: bytes, *, context: str) -> tuple[str, bytes]:
        """AES-256-GCM with a key derived from the first one."""
        nonce = os.urandom(_NONCE_BYTES)
        name = self._keyring.name
        return name, nonce + _cipher(self._keyring.key(name)).encrypt(nonce, plain, context.encode())

    async def unwrap(self, key: str, blob: bytes, *, context: str) -> bytes:
        """Raises KeyRefused."""
        found = self._keyring.key(key)
        if found is None:
            raise KeyRefused(f"its data is encrypted with the key named {key!r}, which is not configured")
        try:
            return _cipher(found).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise KeyRefused(
                f"the key named {key!r} is another one than the key of that name which has encrypted its data"
            ) from None

    async def close(self) -> None:
        """Nothing is open."""


class KeyFile:
    """Keys in a file, before those of the settings. Raises ConfigurationFault for one that cannot be read."""

    def __init__(self, path: Path | None, settings_keys: str) -> None:
        self._path = path
        self._others = settings_keys
        self._seen: object = None

    def read(self) -> list[SealingKey]:
        """All keys, those of the file first; raises ConfigurationFault without showing a key."""
        if self._path is None:
            return parse_keys(self._others)
        try:
            stamp = _stamp(self._path)
            with self._path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", errors="replace")
        except OSError as error:
            raise ConfigurationFault(
                f"the file of encryption keys {self._path} cannot be read: {error.strerror}"
            ) from None
        lines = [line for line in _BETWEEN.split(text) if line.strip() and not line.lstrip().startswith("#")]
        if not lines:
            raise ConfigurationFault(f"the file of encryption keys {self._path} has no key in it")
        keys = parse_keys(",".join([*lines, self._others]))
        self._seen = stamp
        return keys

    async def reread(self, take: Callable[[list[SealingKey]], None]) -> bool:
        """Hand over the keys if the file has changed; returns whether it has. Raises ConfigurationFault.

        One that cannot be used is read again each time: its trouble lasts until somebody has mended it.
        """
        if self._path is None or await asyncio.to_thread(self._is_as_seen):
            return False
        keys = await asyncio.to_thread(self.read)
        try:
            take(keys)
        except ConfigurationFault:
            self._seen = None
            raise
        return True

    def _is_as_seen(self) -> bool:
        try:
            return self._path is not None and _stamp(self._path) == self._seen
        except OSError:
            # Gone or out of reach: `read` says so.
            return False


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _cipher(key: SealingKey | None) -> AESGCM:
    if key is None:
        raise KeyRefused("no encryption key is configured: set CHANDLERY_ENCRYPTION_KEYS")
    return AESGCM(key.derived(_PURPOSE))
