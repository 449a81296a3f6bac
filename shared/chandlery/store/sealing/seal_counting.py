"""What is counted of keys and of what they seal: plain numbers where it happens, looked up when somebody asks.

Sealing is done for every other statement, and has no time for more than an addition.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from chandlery.telemetry.catalog.database_use import DATA_KEYS, KEY_USES, SEALED_TEXTS, UNREADABLE_TEXTS
from chandlery.telemetry.metrics import Metrics, Sample

if TYPE_CHECKING:
    from chandlery.store.sealing.providers.key_provider import KeyProviders
    from chandlery.store.sealing.sealing import Keyring


class Unreadable(StrEnum):
    """Why a text does not open."""

    KEY_MISSING = "key missing"
    CHANGED = "changed"
    """It was written over, or belongs somewhere else."""
    OLD_FORM = "old form"


@dataclass
class SealCounts:
    """Of one keyring."""

    encrypted: int = 0
    decrypted: int = 0
    unreadable: Counter[Unreadable] = field(default_factory=lambda: Counter(dict.fromkeys(Unreadable, 0)))
    """All of them from the start, so that the first time is seen to be one."""


@dataclass
class KeyUseCounts:
    """Of the key-encryption keys: how often each provider was asked for what, and whether that was done."""

    uses: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By provider, `wrap` or `unwrap`, and `done` or `failed`."""

    @contextmanager
    def counted(self, provider: str, operation: str) -> Iterator[None]:
        """Around one use."""
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self.uses[provider, operation, outcome] += 1


def collect_seals(metrics: Metrics, keyring: "Keyring", providers: "KeyProviders") -> None:
    """Have all that looked up at each scrape."""
    counts, cache = keyring.counts, keyring.data_keys
    encrypted, decrypted = ("encrypt",), ("decrypt",)
    metrics.collect(SEALED_TEXTS, lambda: [Sample(encrypted, counts.encrypted), Sample(decrypted, counts.decrypted)])
    metrics.collect(UNREADABLE_TEXTS, lambda: [Sample((why,), number) for why, number in counts.unreadable.items()])
    metrics.collect(KEY_USES, lambda: [Sample(use, number) for use, number in providers.counts.uses.items()])
    metrics.collect(DATA_KEYS, lambda: [Sample((name,), number) for name, number in cache.by_provider().items()])
