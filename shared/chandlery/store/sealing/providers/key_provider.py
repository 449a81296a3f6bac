"""What a key provider can do: wrap a data key with a key-encryption key that it holds, and unwrap it again.

`provider_choice` makes those that the settings name. Packages of others announce theirs by the entry point group
`chandlery.key_providers`: a callable that is given the settings and returns a provider.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from chandlery.model.faults import ConfigurationFault, Fault, Unavailable
from chandlery.store.sealing.data_key_cache import KekName
from chandlery.store.sealing.seal_counting import KeyUseCounts

ENTRY_POINTS: Final = "chandlery.key_providers"
LISTED: Final = "keys"
"""The provider that is there unless others are named: keys in the settings or in a file."""

_PROBE_BYTES: Final = 32
_PROBE_CONTEXT: Final = "chandlery/doctor"


class KeysAway(Unavailable):
    """The key-encryption keys cannot be reached now. Another attempt may succeed: nothing is known to be wrong."""


class TooManyKeys(KeysAway):
    """A transaction needs more data keys than are kept at a time. Nothing was committed; a part of it may succeed."""

    def __init__(self) -> None:
        super().__init__("the request needs more data keys than are kept in memory at a time; ask for less at once")


class KeyRefused(Fault):
    """The key-encryption key is not there, is another one, or must not be used. Waiting does not help."""


@dataclass(frozen=True)
class WrappedKey:
    """A data key as it is stored."""

    kek: KekName
    blob: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The blob as text."""
        return base64.b64encode(self.blob).decode()


class KeyProvider(Protocol):
    """Holds key-encryption keys. Nothing of it may show a secret: no message, no repr."""

    async def key_in_use(self) -> str:
        """The name of the key that wraps now; no secret. Raises KeysAway, KeyRefused."""

    async def wrap(self, plain: bytes, *, context: str) -> tuple[str, bytes]:
        """The name of the key in use, and 32 bytes wrapped with it. They unwrap with the same context alone.

        Raises KeysAway, KeyRefused.
        """

    async def unwrap(self, key: str, blob: bytes, *, context: str) -> bytes:
        """The inverse. Raises KeysAway; KeyRefused if the key of that name is not there or does not open it."""

    async def close(self) -> None:
        """Let go of connections."""


class KeyProviders:
    """The first wraps, all unwrap."""

    def __init__(self, providers: dict[str, KeyProvider]) -> None:
        """By the names under which what they have wrapped is stored. Raises ConfigurationFault if there is none."""
        if not providers:
            raise ConfigurationFault("no encryption key is configured: set CHANDLERY_ENCRYPTION_KEYS")
        self._by_name = providers
        self.counts = KeyUseCounts()
        self.first = next(iter(providers))

    @property
    def names(self) -> Sequence[str]:
        """Of all, the first one first."""
        return list(self._by_name)

    async def try_out(self, name: str) -> KekName:
        """Have a provider wrap something and unwrap it again, which nobody keeps; its key. Raises KeysAway, KeyRefused.

        One that is not the first need only unwrap, which its key may be for alone: of that it is asked the name.
        """
        provider = self._by_name[name]
        if name != self.first:
            return KekName(name, await provider.key_in_use())
        probe = os.urandom(_PROBE_BYTES)
        key, blob = await provider.wrap(probe, context=_PROBE_CONTEXT)
        if await provider.unwrap(key, blob, context=_PROBE_CONTEXT) != probe:
            raise KeyRefused("what it has encrypted it does not decrypt")
        return KekName(name, key)

    async def kek_in_use(self) -> KekName:
        """What new data keys are wrapped with. Raises KeysAway, KeyRefused."""
        return KekName(self.first, await self._by_name[self.first].key_in_use())

    async def wrap(self, plain: bytes, *, context: str) -> WrappedKey:
        """With the key in use of the first provider. Raises KeysAway, KeyRefused."""
        with self.counts.counted(self.first, "wrap"):
            key, blob = await self._by_name[self.first].wrap(plain, context=context)
        return WrappedKey(KekName(self.first, key), blob)

    async def unwrap(self, wrapped: WrappedKey, *, context: str) -> bytes:
        """Raises KeysAway, KeyRefused."""
        provider = self._by_name.get(wrapped.kek.provider)
        if provider is None:
            raise KeyRefused(
                f"it is wrapped by the key provider {wrapped.kek.provider!r}, which CHANDLERY_ENCRYPTION_PROVIDERS "
                f"does not name (its key there is called {wrapped.kek.key!r})"
            )
        with self.counts.counted(wrapped.kek.provider, "unwrap"):
            return await provider.unwrap(wrapped.kek.key, wrapped.blob, context=context)

    async def close(self) -> None:
        """Let go of all."""
        for provider in self._by_name.values():
            await provider.close()
