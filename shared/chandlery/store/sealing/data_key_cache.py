"""Unwrapped data keys, in memory, bounded in number and for a time: whoever seals or opens a row calls no provider.

A key-encryption key that has unwrapped something lately vouches for all data keys that it has wrapped (`vouch`). Once
it cannot be reached for as long as the operator allows, they count no more, and what they seal cannot be read.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chandlery.model.faults import SealBroken

CACHE_SECONDS: Final = 3600.0
MOST_KEYS: Final = 1_000
_REFUSED_SECONDS: Final = 30.0
_MOST_REFUSED: Final = 1_000


class DataKeyNeeded(Exception):
    """A transaction cannot go on before this data key has been unwrapped; '' is one to seal with.

    `Database.run` sees to that and begins the transaction again. No Fault: whoever expects those must not pass it over.
    """

    def __init__(self, key_id: str = "") -> None:
        self.key_id = key_id
        super().__init__(f"the data key {key_id!r} is needed" if key_id else "a data key to seal with is needed")


@dataclass(frozen=True)
class KekName:
    """A key-encryption key: which provider has it, and what it is called there."""

    provider: str
    key: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.key}"


@dataclass
class _Unwrapped:
    cipher: AESGCM = field(repr=False)
    kek: KekName
    until: float


class DataKeyCache:
    """What is unwrapped now, and which key seals."""

    def __init__(
        self, *, seconds: float = CACHE_SECONDS, most: int = MOST_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self.most = most
        self._clock = clock
        self._keys: dict[str, _Unwrapped] = {}
        self._refused: dict[str, tuple[str, float]] = {}
        self._sealing = ""
        self._writes_left = 0
        self._sealing_until = 0.0
        self.is_in_use = False
        """Whether what is sealed from now on is sealed with data keys, and not with the configured keys themselves."""

    @property
    def sealing_id(self) -> str:
        """The data key that seals; '' before there is one."""
        return self._sealing

    @property
    def writes_left(self) -> int:
        """How often this process may seal with it yet."""
        return self._writes_left

    def has(self, key_id: str) -> bool:
        """Whether the key is at hand."""
        found = self._keys.get(key_id)
        return found is not None and self._clock() < found.until

    def is_settled(self, key_id: str) -> bool:
        """Whether `cipher` has an answer; for '' whether there is a key to seal with."""
        if not key_id:
            return self._can_seal()
        return self.has(key_id) or self._why_refused(key_id) is not None

    def cipher(self, key_id: str) -> AESGCM:
        """The key to open with; raises DataKeyNeeded, or SealBroken if it is known that it cannot be had."""
        found = self._keys.get(key_id)
        if found is not None and self._clock() < found.until:
            return found.cipher
        if why := self._why_refused(key_id):
            raise SealBroken(why)
        raise DataKeyNeeded(key_id)

    def take(self) -> tuple[str, AESGCM]:
        """The key to seal one text with, and its id; raises DataKeyNeeded."""
        if not self._can_seal():
            raise DataKeyNeeded
        self._writes_left -= 1
        return self._sealing, self._keys[self._sealing].cipher

    def put(self, key_id: str, raw: bytes, kek: KekName) -> None:
        """Keep an unwrapped key. The one that has been here the longest makes room, but for the one that seals."""
        self._refused.pop(key_id, None)
        self._keys.pop(key_id, None)
        while len(self._keys) >= self.most:
            del self._keys[next(each for each in self._keys if each != self._sealing)]
        self._keys[key_id] = _Unwrapped(AESGCM(raw), kek, self._clock() + self.seconds)

    def vouch(self, kek: KekName) -> None:
        """The provider has just unwrapped something with this key: all that it has wrapped may be used on."""
        until = self._clock() + self.seconds
        for each in self._keys.values():
            if each.kek == kek:
                each.until = until

    def rewrapped(self, key_id: str, kek: KekName) -> None:
        """The data key is now wrapped with another key-encryption key, which was in reach."""
        if found := self._keys.get(key_id):
            found.kek, found.until = kek, self._clock() + self.seconds

    def refuse(self, key_id: str, why: str) -> None:
        """For a while it need not be asked again for this key: it cannot be had."""
        self._keys.pop(key_id, None)
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[key_id] = (why, self._clock() + _REFUSED_SECONDS)

    def seal_with(self, key_id: str, *, writes: int, seconds: float) -> None:
        """From now on this key seals, which is at hand: so often, and not longer than this."""
        self._sealing, self._writes_left = key_id, writes
        self._sealing_until = self._clock() + seconds
        self.is_in_use = True

    def clear(self) -> None:
        """Forget what is at hand: all of it has to be unwrapped again."""
        self._keys.clear()
        self._refused.clear()

    def is_old(self) -> bool:
        """Whether the key that seals has been in use for as long as it may."""
        return self._clock() >= self._sealing_until

    def keks(self) -> dict[KekName, str]:
        """The key-encryption keys of what is at hand, each with one data key that it has wrapped."""
        return {each.kek: key_id for key_id, each in self._keys.items()}

    def by_provider(self) -> Counter[str]:
        """How many are at hand of each provider."""
        now = self._clock()
        return Counter(each.kek.provider for each in self._keys.values() if now < each.until)

    def missing(self, key_ids: Collection[str]) -> list[str]:
        """Those that are not at hand and may be had."""
        return [each for each in key_ids if not self.is_settled(each)]

    def _can_seal(self) -> bool:
        return self._writes_left > 0 and not self.is_old() and self.has(self._sealing)

    def _why_refused(self, key_id: str) -> str | None:
        why, until = self._refused.get(key_id, ("", 0.0))
        return why if why and self._clock() < until else None
