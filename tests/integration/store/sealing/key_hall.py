"""Processes with data keys on one database, and a provider of keys that a test can take away."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.objects.core import Secret
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.schema import CHANGES, DATA_KEYS, OBJECTS, WORK_QUEUE
from chandlery.store.sealing.data_key_cache import DataKeyCache
from chandlery.store.sealing.data_keys import DataKeyLimits
from chandlery.store.sealing.providers.key_provider import KeyProviders, KeyRefused, KeysAway
from chandlery.store.sealing.providers.listed_keys import ListedKeys
from chandlery.store.sealing.sealing import Keyring, parse_keys
from tests.integration.store import samples

DATA = {"password": "aHVudGVyMg=="}
BRIEF = DataKeyLimits(wait_seconds=0.0)


@dataclass
class Vault:
    """A provider as others write them: keys by name, calls counted, and it can be away."""

    keys: dict[str, AESGCM] = field(default_factory=lambda: {"first": AESGCM(os.urandom(32))})
    in_use: str = "first"
    is_away: bool = False
    calls: int = 0

    async def key_in_use(self) -> str:
        return self.in_use

    async def wrap(self, plain: bytes, *, context: str) -> tuple[str, bytes]:
        nonce = os.urandom(12)
        return self.in_use, nonce + self._key(self.in_use).encrypt(nonce, plain, context.encode())

    async def unwrap(self, key: str, blob: bytes, *, context: str) -> bytes:
        return self._key(key).decrypt(blob[:12], blob[12:], context.encode())

    async def close(self) -> None:
        """Nothing is open."""

    def _key(self, name: str) -> AESGCM:
        self.calls += 1
        if self.is_away:
            raise KeysAway("the vault cannot be reached")
        if name not in self.keys:
            raise KeyRefused(f"the vault has no key {name!r}")
        return self.keys[name]


@dataclass
class Seconds:
    """The clock of a cache."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def process(
    url: str,
    keys: str = "",
    *,
    vault: Vault | None = None,
    limits: DataKeyLimits = BRIEF,
    cache: DataKeyCache | None = None,
    starts: bool = True,
) -> AsyncIterator[Database]:
    """A process as it is once it has started."""
    keyring = Keyring(parse_keys(keys), cache=cache)
    providers = {"vault": vault} if vault else {}
    listed = {"keys": ListedKeys(keyring)} if keys else {}
    database = Database(
        open_engine(url, application_name="chandlery-test"),
        keyring,
        providers=KeyProviders({**providers, **listed}),
        limits=limits,
        clock=lambda: samples.NOON,
    )
    try:
        if starts:
            await database.data_keys.start()
            await database.run(lambda unit: unit.seals.check())
        yield database
    finally:
        await database.close()


async def insert_secret(database: Database, name: str = "login") -> Secret:
    (created,) = await samples.create(database, Secret(metadata=samples.meta(name), data=DATA))
    assert isinstance(created, Secret)
    return created


async def marks(engine: AsyncEngine) -> dict[str, set[str]]:
    """What each table's texts are sealed with: the text before the first colon."""
    secrets, sealed = OBJECTS["Secret"], {}
    async with engine.connect() as connection:
        found = {
            "secrets": select(secrets.c.spec["sealed"].as_string()),
            "changes": select(CHANGES.c.object["sealed"].as_string()).where(CHANGES.c.kind == "Secret"),
            "work": select(WORK_QUEUE.c.sealed).where(WORK_QUEUE.c.sealed.is_not(None)),
        }
        for table, query in found.items():
            texts = (await connection.execute(query)).scalars()
            sealed[table] = {text.partition(":")[0] for text in texts}
    return sealed


async def key_rows(engine: AsyncEngine) -> list[tuple[str, str, str, int]]:
    """Purpose, provider, key-encryption key and reserved writes of each stored key."""
    query = select(DATA_KEYS.c.purpose, DATA_KEYS.c.provider, DATA_KEYS.c.kek, DATA_KEYS.c.writes)
    async with engine.connect() as connection:
        return sorted(tuple(row) for row in await connection.execute(query))
