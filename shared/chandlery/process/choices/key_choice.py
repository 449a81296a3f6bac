"""The database with its keys, by the settings: where key-encryption keys are, and how data keys are used.

Apart from `composition.py`, so that `chandlery keys` works without message bus and service brokers.
"""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.engine.upkeep.data_key_keeping import DataKeyKeeping
from chandlery.settings.settings import Settings, require
from chandlery.store.database import Database
from chandlery.store.sealing.data_key_cache import DataKeyCache
from chandlery.store.sealing.data_keys import DataKeyLimits
from chandlery.store.sealing.providers.key_provider import LISTED
from chandlery.store.sealing.providers.listed_keys import KeyFile
from chandlery.store.sealing.providers.provider_choice import make_providers, needs_listed_keys
from chandlery.store.sealing.sealing import Keyring
from chandlery.telemetry.metrics import NO_METRICS, Metrics


def require_keys(settings: Settings) -> None:
    """Refuse to start without any key; raises ConfigurationFault."""
    if needs_listed_keys(settings):
        require(settings, "encryption_keys")


@dataclass(frozen=True)
class SealedDatabase:
    """A database, and what keeps its keys at hand."""

    database: Database
    keeping: DataKeyKeeping
    may_lose_keys: bool
    """Whether key-encryption keys can be gone while the process runs: out of reach, or out of their file."""


def make_database(settings: Settings, engine: AsyncEngine, *, metrics: Metrics = NO_METRICS) -> SealedDatabase:
    """Nothing is connected yet. Raises ConfigurationFault."""
    file = KeyFile(settings.encryption_keys_file, settings.encryption_keys.get_secret_value())
    keyring = Keyring(file.read(), cache=DataKeyCache(seconds=settings.data_key_cache_seconds))
    keyring.seals_specs = settings.seal_specs
    providers = make_providers(settings, keyring)
    limits = DataKeyLimits(
        writes=settings.data_key_writes, days=settings.data_key_days, wait_seconds=settings.data_key_wait_seconds
    )
    database = Database(
        engine,
        keyring,
        providers=providers,
        limits=limits,
        keeps_audit=settings.audit_table,
        collects_garbage=settings.platform == "standalone",
        metrics=metrics,
    )
    may_lose_keys = providers.first != LISTED or settings.encryption_keys_file is not None
    return SealedDatabase(database, DataKeyKeeping(database, file), may_lose_keys)
