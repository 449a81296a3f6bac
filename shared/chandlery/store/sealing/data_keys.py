"""Makes data keys, has them unwrapped, and keeps them at hand: everything about them that takes time.

Comes in: `provide`, for a transaction that cannot go on without a key; `start`, before a process reads anything;
`keep`, again and again, so that hardly any transaction ever has to wait.
Goes out: keys in the keyring's cache. A data key is committed before anything can be sealed with it.
Called by: `Database.run`, `composition`, `data_key_keeping`, `chandlery keys`.

While no provider of keys can be reached, what is at hand serves on until its time is over (`DataKeyCache`). Whoever
needs more waits for a few seconds, and is told why it is in vain.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from chandlery.model.faults import ConfigurationFault
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.sealing.data_key_cache import DataKeyCache, KekName
from chandlery.store.sealing.data_key_rows import DATA, ROOT, DataKeyRow
from chandlery.store.sealing.providers.key_provider import LISTED, KeyProviders, KeyRefused, KeysAway, WrappedKey

if TYPE_CHECKING:
    from chandlery.store.database import Database, UnitOfWork
    from chandlery.store.sealing.sealing import Keyring

log = structlog.get_logger(__name__)

MOST_WRITES: Final = 1 << 30
"""With random nonces of 96 bits one key may seal 2^32 texts (NIST SP 800-38D, 8.3); a quarter of that is the limit."""
_BLOCK: Final = 1 << 16
_KEY_BYTES: Final = 32
_LEASE_SECONDS: Final = 600.0
"""How long a process seals with a key without having looked whether it is closed."""
CLOSED_FOR_GOOD: Final = timedelta(seconds=6 * _LEASE_SECONDS)
"""After that nobody seals with it any more."""
_LOOK_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.25
_NOT_AGAIN_SECONDS: Final = 2.0
"""So long nobody else waits for what somebody has just waited for in vain."""
WAY_OUT: Final = (
    "put the right key back into CHANDLERY_ENCRYPTION_KEYS, or into the file of CHANDLERY_ENCRYPTION_KEYS_FILE (with "
    "`chandlery up`: into the file encryption-key of its data directory), or use the database that belongs to this key"
)


@dataclass(frozen=True, kw_only=True)
class DataKeyLimits:
    """How far one data key goes."""

    writes: int = 1 << 24
    days: float = 7.0
    wait_seconds: float = 5.0
    """How long a transaction waits for a key."""


class DataKeys:
    """The data keys of one process."""

    def __init__(
        self, database: "Database", keyring: "Keyring", providers: KeyProviders, limits: DataKeyLimits | None = None
    ) -> None:
        self.providers = providers
        self.trouble = ""
        """Why no key-encryption key can be had; empty while all is well."""
        self._database = database
        self._keyring = keyring
        self._limits = limits or DataKeyLimits()
        self._lock = asyncio.Lock()
        self._failed: tuple[float, KeysAway | KeyRefused] | None = None
        self._looked_at = 0.0
        self._vouched: dict[KekName, float] = {}

    async def provide(self, key_id: str) -> None:
        """Have this data key at hand; '' is one to seal with. Raises KeysAway when that takes too long.

        A key that cannot be had at all is noted, and whoever opens something with it is told so.
        """
        async with self._lock:
            if self._cache.is_settled(key_id):
                return
            if self._failed and time.monotonic() - self._failed[0] < _NOT_AGAIN_SECONDS:
                raise _again(self._failed[1])
            deadline = time.monotonic() + self._limits.wait_seconds
            while True:
                try:
                    await (self._load(key_id) if key_id else self._renew())
                except (KeysAway, KeyRefused) as fault:
                    if isinstance(fault, KeyRefused) or time.monotonic() + _PAUSE_SECONDS > deadline:
                        self._failed = (time.monotonic(), fault)
                        self._note_trouble(fault.message)
                        raise _again(fault) from None
                else:
                    self._failed = None
                    return
                await asyncio.sleep(_PAUSE_SECONDS)

    async def start(self) -> None:
        """Before anything is read: learn the root secret, and whether data keys are in use.

        They are on a database that is new, and wherever somebody has made one, and with any provider but the list of
        keys. Raises ConfigurationFault if the keys are not those of the database; KeysAway, KeyRefused.
        """
        async with self._lock:
            rows, is_untouched = await self._database.run(_beginning)
            root = next((row for row in rows if row.purpose == ROOT), None) or await self._made(ROOT)
            try:
                self._keyring.take_root(await self._unwrapped(root))
                # Another process may be rolled out with them, one after the other: nothing but the newest has to open.
                newest = next((row for row in rows if row.purpose == DATA), None)
                if newest:
                    self._cache.put(newest.id, await self._unwrapped(newest), newest.wrapped.kek)
            except KeyRefused as fault:
                raise ConfigurationFault(
                    f"the encryption keys do not match the database: {fault.message}; {WAY_OUT}"
                ) from None
            if newest or is_untouched or self.providers.first != LISTED:
                await self._renew()

    async def keep(self) -> None:
        """Do ahead what transactions would have to wait for. Raises KeysAway, KeyRefused."""
        now = time.monotonic()
        if self.trouble or now - self._looked_at > min(_LOOK_SECONDS, self._cache.seconds / 4):
            async with self._lock:
                await self._look()
            self._looked_at = now
        elif self._cache.is_in_use and self._cache.writes_left < self._block / 4:
            async with self._lock:
                await self._renew()
        self.trouble = ""

    async def turn(self, *, noted: Callable[[str], AuditEntry] | None = None) -> DataKeyRow:
        """Make a data key that all processes seal with within a minute, and data keys in use if they were not.

        `noted` makes the entry of the audit log about it, of the new key's id.
        """
        async with self._lock:
            row = await self._made(DATA)
            await self._use(row)

            async def close(unit: "UnitOfWork") -> None:
                await unit.data_keys.close_others(row.id)
                if noted:
                    unit.audit.note(noted(row.id))

            await self._database.run(close)
        return row

    async def rewrap(self) -> tuple[int, int]:
        """Wrap all with the key-encryption key in use; returns how many were wrapped otherwise, and how many still are.

        Raises KeysAway, KeyRefused.
        """
        kek = await self.providers.kek_in_use()
        old = [row for row in await self.rows() if row.wrapped.kek != kek]
        done = 0
        for row in old:
            try:
                plain = await self._unwrapped(row)
            except KeyRefused:
                continue
            wrapped = await self.providers.wrap(plain, context=row.context)
            if await self._database.run(lambda unit, row=row, wrapped=wrapped: unit.data_keys.rewrap(row, wrapped)):  # type: ignore[misc]
                done += 1
                self._cache.rewrapped(row.id, wrapped.kek)
        return done, len(old) - done

    async def rows(self) -> Sequence[DataKeyRow]:
        """All that are stored, the newest first."""
        return await self._database.run(lambda unit: unit.data_keys.all())

    @property
    def can_go_on(self) -> bool:
        """Whether there is a key to seal with, or none is needed."""
        return not self._cache.is_in_use or self._cache.is_settled("")

    async def close(self) -> None:
        """Let go of the providers."""
        await self.providers.close()

    @property
    def _cache(self) -> DataKeyCache:
        return self._keyring.data_keys

    @property
    def _block(self) -> int:
        return max(1, min(_BLOCK, self._limits.writes // 16))

    async def _look(self) -> None:
        """What has others done, and is everything still in reach?"""
        rows = await self.rows()
        if any(row.purpose == DATA for row in rows):
            await self._renew(rows)
        await self._vouch(rows)

    async def _vouch(self, rows: Sequence[DataKeyRow]) -> None:
        """Ask each key-encryption key for one of what it has wrapped, well before what is at hand runs out."""
        by_id = {row.id: row for row in rows}
        now = time.monotonic()
        for kek, key_id in self._cache.keks().items():
            is_due = bool(self.trouble) or now - self._vouched.get(kek, 0.0) > self._cache.seconds / 4
            if is_due and key_id in by_id:
                await self._unwrapped(by_id[key_id])

    async def _load(self, key_id: str) -> None:
        """This key, and all others that there is room for: who reads a list would ask for one after the other."""
        rows = {row.id: row for row in await self.rows()}
        if key_id not in rows:
            self._cache.refuse(key_id, f"stored data was encrypted with the data key {key_id!r}, which is not stored")
            return
        await self._put(rows[key_id])
        room = self._cache.most // 2
        with suppress(KeysAway):
            for each in self._cache.missing([row.id for row in rows.values() if row.purpose == DATA])[:room]:
                await self._put(rows[each])

    async def _put(self, row: DataKeyRow) -> None:
        try:
            raw = await self._unwrapped(row)
        except KeyRefused as fault:
            self._cache.refuse(row.id, f"stored data cannot be decrypted: {fault.message}")
        else:
            self._cache.put(row.id, raw, row.wrapped.kek)

    async def _renew(self, rows: Sequence[DataKeyRow] | None = None) -> None:
        """Have a key to seal with: the newest that may be used yet, or a new one."""
        born_after = self._database.clock() - timedelta(days=self._limits.days)
        rows = await self.rows() if rows is None else rows
        usable = [row for row in rows if row.purpose == DATA and not row.closed_at and row.created_at > born_after]
        others = [row for row in usable[1:] if row.id == self._cache.sealing_id]
        for row in [*usable[:1], *others]:
            try:
                if await self._goes_on(row):
                    return
            except KeyRefused as fault:
                # Of a process that has other keys than this one.
                log.warning(f"the data key {row.id} cannot be used: {fault.message}", action="use_data_key", key=row.id)
        await self._use(await self._made(DATA))

    async def _goes_on(self, row: DataKeyRow) -> bool:
        if not self._cache.has(row.id):
            self._cache.put(row.id, await self._unwrapped(row), row.wrapped.kek)
        seconds = self._seconds_left(row)
        if self._cache.sealing_id == row.id and self._cache.writes_left >= self._block / 4:
            self._cache.seal_with(row.id, writes=self._cache.writes_left, seconds=seconds)
            return True
        block, most = self._block, min(self._limits.writes, MOST_WRITES)
        if not await self._database.run(lambda unit: unit.data_keys.reserve(row.id, writes=block, most=most)):
            return False
        left = self._cache.writes_left if self._cache.sealing_id == row.id else 0
        self._cache.seal_with(row.id, writes=left + block, seconds=seconds)
        return True

    async def _use(self, row: DataKeyRow) -> None:
        self._cache.seal_with(row.id, writes=row.writes, seconds=self._seconds_left(row))
        log.info(f"data is now encrypted with the data key {row.id}", action="make_data_key", key=row.id)

    def _seconds_left(self, row: DataKeyRow) -> float:
        age = (self._database.clock() - row.created_at).total_seconds()
        return min(_LEASE_SECONDS, max(1.0, self._limits.days * 86_400 - age))

    async def _made(self, purpose: str) -> DataKeyRow:
        """A new key, wrapped, stored and committed; at hand if it is a data key. Of the root the first one counts."""
        raw = os.urandom(_KEY_BYTES)
        key_id = ROOT if purpose == ROOT else f"dk-{uuid.uuid4().hex[:16]}"
        row = DataKeyRow(
            id=key_id, purpose=purpose, wrapped=_NOT_YET, created_at=self._database.clock(), writes=self._block
        )
        wrapped = await self.providers.wrap(raw, context=row.context)
        row = DataKeyRow(id=key_id, purpose=purpose, wrapped=wrapped, created_at=row.created_at, writes=self._block)
        if not await self._database.run(lambda unit: unit.data_keys.add(row)):
            return next(each for each in await self.rows() if each.id == key_id)
        if purpose == DATA:
            self._cache.put(key_id, raw, wrapped.kek)
        return row

    async def _unwrapped(self, row: DataKeyRow) -> bytes:
        raw = await self.providers.unwrap(row.wrapped, context=row.context)
        self._vouched[row.wrapped.kek] = time.monotonic()
        self._cache.vouch(row.wrapped.kek)
        return raw

    def _note_trouble(self, why: str) -> None:
        if not self.trouble:
            log.error(f"a key to encrypt or decrypt stored data cannot be had: {why}", action="provide_data_key")
        self.trouble = why

    def doubt(self) -> None:
        """Other key-encryption keys are configured: whether they are the right ones is asked at the next `keep`."""
        self._vouched.clear()
        self._looked_at = 0.0

    def forget_failure(self) -> None:
        """Ask again at once."""
        self._failed = None

    def note(self, fault: KeysAway | KeyRefused) -> None:
        """Something of this has failed beside the transactions."""
        self._note_trouble(fault.message)


_NOT_YET: Final = WrappedKey(KekName("", ""), b"")


async def _beginning(unit: "UnitOfWork") -> tuple[Sequence[DataKeyRow], bool]:
    return await unit.data_keys.all(), await unit.seals.is_untouched()


def _again(fault: KeysAway | KeyRefused) -> KeysAway:
    return KeysAway(f"a key to encrypt or decrypt stored data cannot be had now: {fault.message}")
