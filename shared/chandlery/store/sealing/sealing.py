"""Encryption of what must not stand in the database in plain text. AES-256-GCM, bound to the place it belongs to.

The associated data names the place, so a row that is given another namespace, name or uid does not open any more.
"""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chandlery.model.faults import ConfigurationFault, SealBroken
from chandlery.model.json.json_text import read_written, write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.parameters.keyed_checksums import PURPOSE, UNBOUND_PURPOSE, ChecksumKeys
from chandlery.store.sealing.data_key_cache import DataKeyCache, DataKeyNeeded
from chandlery.store.sealing.seal_counting import SealCounts, Unreadable

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MOST_FAILURES = 1_000
_SHOWN = 40
_KEY_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{_KEY_BYTES - 1}}}")
_FORM, DATA_KEY_FORM = "2", "3"
"""Of sealed texts: `key:2:base64`, bound to a place; `data key:3:base64`, the same with a data key.

The first form, `key:base64`, was bound to a uid alone.
"""
_ROOT = "the root secret"
"""No name that a configured key can have."""


@dataclass(frozen=True)
class SealPlace:
    """What sealed data belongs to: a column of one object, which has a namespace, a name and a uid."""

    what: str
    """`Secret`, or `in-flight` for a worker's note."""
    namespace: str
    name: str
    uid: str

    def text(self) -> bytes:
        """No two places have the same one."""
        return write_json([self.what, self.namespace, self.name, self.uid])

    @property
    def first_form(self) -> str:
        """What data was bound to before places counted."""
        return f"{self.what}/{self.uid}"


@dataclass(frozen=True)
class SealingKey:
    """A named key. The name travels with the ciphertext, so keys can be rotated."""

    name: str
    cipher: AESGCM = field(repr=False)
    fingerprints: bytes = field(repr=False)
    """Another key, derived from the first."""
    raw: bytes = field(repr=False)

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose alone; see `derived_key`."""
        return derived_key(self.raw, purpose)


@dataclass(frozen=True)
class SealingRoot:
    """What keys are derived from that no configured key is at hand for."""

    raw: bytes = field(repr=False)


class Keyring:
    """What seals and opens: data keys, and the configured keys for what was sealed before there were any.

    Without a data key in use the first configured key seals; all of them open.
    """

    def __init__(self, keys: Sequence[SealingKey], *, cache: DataKeyCache | None = None) -> None:
        """`keys` may be empty if a provider of keys is configured: then data keys have to be in use."""
        self.data_keys = cache or DataKeyCache()
        self.counts = SealCounts()
        self.seals_specs = False
        """Whether parameters, status words and the like are sealed too; see `spec_sealing`."""
        self._root: SealingRoot | None = None
        self._checksums: dict[bool, ChecksumKeys] = {}
        """By whether data keys are in use, for that decides which key comes first."""
        self._failures: set[SealPlace] = set()
        self.refuses_first_form = False
        """Set as soon as the database is known to have nothing left in the first form; see `seals`."""
        self.replace_keys(keys)

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `name:base64,name:base64`; each key is 32 bytes. Raises ConfigurationFault without showing a key."""
        keys = parse_keys(text)
        if not keys:
            raise ConfigurationFault("no encryption key is configured: set CHANDLERY_ENCRYPTION_KEYS")
        return cls(keys)

    def replace_keys(self, keys: Sequence[SealingKey]) -> None:
        """From now on these are the configured keys. Raises ConfigurationFault if two have one name."""
        by_name = {key.name: key for key in keys}
        if len(by_name) < len(keys):
            raise ConfigurationFault(
                "two encryption keys have the same name, so it would be unclear which one encrypted what"
            )
        self._first = keys[0] if keys else None
        self._by_name = by_name
        self._checksums.clear()

    def take_root(self, root: bytes) -> None:
        """The secret that other keys are derived from (32 bytes), which is stored wrapped like a data key."""
        self._root = SealingRoot(root)
        self._checksums.clear()

    @property
    def checksums(self) -> ChecksumKeys:
        """The keys of parameters' checksums."""
        is_in_use = self.data_keys.is_in_use
        if is_in_use not in self._checksums:
            bound, unbound = self.derived(PURPOSE).values(), self.derived(UNBOUND_PURPOSE).values()
            self._checksums[is_in_use] = ChecksumKeys(bound, unbound=unbound)
        return self._checksums[is_in_use]

    @property
    def name(self) -> str:
        """The name of the first configured key; '' if there is none."""
        return self._first.name if self._first else ""

    @property
    def names(self) -> Sequence[str]:
        """The names of all configured keys, the first one first."""
        return list(self._by_name)

    @property
    def mark(self) -> str:
        """How everything begins that is sealed now."""
        if self.data_keys.is_in_use:
            return data_key_mark(self.data_keys.sealing_id)
        return seal_mark(self.name)

    def seals_like(self, sealed: str, *, exactly: bool) -> bool:
        """Whether this text need not be sealed anew. Any data key will do, unless `exactly` the one that seals."""
        if self.data_keys.is_in_use and not exactly:
            return is_of_data_key(sealed)
        return sealed.startswith(self.mark)

    def key(self, name: str) -> SealingKey | None:
        """The configured key of that name."""
        return self._by_name.get(name)

    def is_first_failure(self, place: SealPlace) -> bool:
        """Whether nobody in this process has complained yet that what is sealed there does not open."""
        if place in self._failures or len(self._failures) >= _MOST_FAILURES:
            return False
        self._failures.add(place)
        return True

    def knows(self, name: str) -> bool:
        """Whether there is a configured key of that name."""
        return name in self._by_name

    def seal(self, document: JsonObject, *, bound_to: SealPlace) -> str:
        """Encrypt a JSON object. The ciphertext opens at this place and cannot be moved to another one.

        Raises DataKeyNeeded, which is for `Database.run`.
        """
        if self.data_keys.is_in_use:
            key_id, cipher = self.data_keys.take()
            mark = data_key_mark(key_id)
        elif self._first:
            mark, cipher = seal_mark(self._first.name), self._first.cipher
        else:
            raise DataKeyNeeded
        self.counts.encrypted += 1
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = cipher.encrypt(nonce, write_json(document), bound_to.text())
        return f"{mark}{base64.b64encode(nonce + ciphertext).decode()}"

    def fingerprint(self, secret: str, *, bound_to: str) -> str:
        """Equal for equal secrets in the same place, and tells nothing else; another after a rotation of the keys."""
        if self._first and not self.data_keys.is_in_use:
            key = self._first.fingerprints
        else:
            key = derived_key(self._root.raw if self._root else b"", "fingerprints")
        return hmac.digest(key, f"{bound_to}\0{secret}".encode(), "sha256").hex()

    def derived(self, purpose: str) -> Mapping[str, bytes]:
        """Keys for one purpose, by the names of those they are made from: the first one is for use, all are believed.

        So what was made before a rotation is still known after it, for as long as the old key is configured; and what
        is made from the root secret is known to processes that do not use it yet.
        """
        listed = {name: key.derived(purpose) for name, key in self._by_name.items()}
        if self._root is None:
            return listed
        root = {_ROOT: derived_key(self._root.raw, purpose)}
        return root | listed if self.data_keys.is_in_use or not listed else listed | root

    def open(self, sealed: str, *, bound_to: SealPlace) -> JsonObject:
        """Decrypt what `seal` made for this place; raises SealBroken, and DataKeyNeeded for `Database.run`."""
        name, _, rest = sealed.partition(":")
        form, is_of_form, encoded = rest.rpartition(":")
        cipher = self._cipher(name, form)
        if not is_of_form and self.refuses_first_form:
            self.counts.unreadable[Unreadable.OLD_FORM] += 1
            raise SealBroken("stored data is encrypted in a form that is no longer supported")
        bound = bound_to.text() if is_of_form else bound_to.first_form.encode()
        try:
            raw = base64.b64decode(encoded)
            plain = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (InvalidTag, binascii.Error, ValueError) as error:
            self.counts.unreadable[Unreadable.CHANGED] += 1
            raise SealBroken from error
        self.counts.decrypted += 1
        document: JsonObject = read_written(plain)
        return document

    def _cipher(self, name: str, form: str) -> AESGCM:
        try:
            return self.data_keys.cipher(name) if form == DATA_KEY_FORM else self._listed_cipher(name)
        except SealBroken:
            self.counts.unreadable[Unreadable.KEY_MISSING] += 1
            raise

    def _listed_cipher(self, name: str) -> AESGCM:
        key = self._by_name.get(name)
        if key is None:
            raise SealBroken(f"stored data was encrypted with the key named {name!r}, which is not configured")
        return key.cipher


def derived_key(raw: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose alone, by HKDF (RFC 5869): they tell nothing of the key, nor of other purposes'."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"chandlery/{purpose}".encode()).derive(raw)


def seal_mark(name: str) -> str:
    """How everything begins that is sealed with the configured key of that name."""
    return f"{name}:{_FORM}:"


def data_key_mark(key_id: str) -> str:
    """How everything begins that is sealed with this data key."""
    return f"{key_id}:{DATA_KEY_FORM}:"


def is_of_data_key(sealed: str) -> bool:
    """Whether the text is sealed with a data key."""
    return sealed.partition(":")[2].startswith(f"{DATA_KEY_FORM}:")


def check_key_name(name: str) -> None:
    """Raises ConfigurationFault for a name that could not be read back from a list of keys."""
    if not _KEY_NAME.fullmatch(name):
        raise ConfigurationFault(
            f"the key name {name[:_SHOWN]!r} cannot be used: a name has 1 to {_KEY_BYTES - 1} letters, digits, '-', "
            "'_' and '.', as in: chandlery new-key key2"
        )


def new_key(name: str) -> str:
    """A fresh key in the form that `Keyring.parse` reads."""
    return f"{name}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


def parse_keys(text: str) -> list[SealingKey]:
    """Read `name:base64,name:base64`. Raises ConfigurationFault without showing a key."""
    return [_parse_key(part.strip()) for part in text.split(",") if part.strip()]


def _parse_key(text: str) -> SealingKey:
    name, separator, encoded = text.partition(":")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if not separator or not name or len(raw) != _KEY_BYTES:
        raise ConfigurationFault(
            f"the encryption key {_shown(name, separator)} is not of the form name:base64, with "
            f"{_KEY_BYTES} bytes in base64; create one with: chandlery new-key"
        )
    return SealingKey(name, AESGCM(raw), hmac.digest(raw, b"fingerprints", "sha256"), raw)


def _shown(name: str, separator: str) -> str:
    # Whoever swaps the two parts has put the key where the name belongs.
    return f"named {name!r}" if separator and 0 < len(name) < _KEY_BYTES else "without a readable name"
