"""Wakes whoever waits for Secrets of the cluster that have changed, many in one transaction.

Comes in: keys, and how far each part of the cluster has been followed. Goes out: commands for the objects that wait.
Called by: `secret_watch`, which only the holder of a lease runs.

How far is noted in the same transactions: whoever takes over goes on from there, and misses nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog

from chandlery.model.faults import Conflict, Unavailable
from chandlery.model.json.json_text import NotJson, read_json, write_json
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.retry.transient import TransientRetry
from chandlery.store.database import Database, UnitOfWork

log = structlog.get_logger(__name__)

KEY_PREFIX: Final = secret_key("", "").removesuffix("/")
_FACT: Final = "secrets of the cluster seen"
_GATHERED_SECONDS: Final = 0.1
_BATCH: Final = 500
_MOST_PENDING: Final = 5_000
_ROUND_SECONDS: Final = 5.0
_NOTE_EVERY_SECONDS: Final = 10.0
_MOST_NOTED: Final = 500
"""Parts whose version is noted; of the others all are woken after a takeover."""
_AGAIN_SECONDS: Final = (15.0, 120.0)
"""News is told more than once: whoever was in hand at the moment, and had looked before, is found waiting later."""
_MOST_AGAIN: Final = 10_000
_PATIENCE: Final = TransientRetry(attempts=None, initial_seconds=0.2, maximum_seconds=10.0)


class SecretWaker:
    """News that has not been told yet, bounded: whoever brings too much has to wait."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[str, str | None] = {}
        self._again = [
            (seconds, deque[tuple[float, str, str | None]](maxlen=_MOST_AGAIN)) for seconds in _AGAIN_SECONDS
        ]
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._noted_at = time.monotonic()
        self._noted = ""
        self.versions: dict[str, str] = {}
        """How far each part has been followed: by its namespace, or empty for the whole cluster."""

    async def recall(self) -> None:
        """Read how far the last holder of the lease got. Raises Unavailable."""
        noted = await self._database.run(lambda unit: unit.leases.fact(_FACT))
        self._noted = noted or ""
        try:
            read = read_json(noted) if noted else {}
        except NotJson:
            read = {}
        self.versions = {str(part): str(version) for part, version in read.items()} if isinstance(read, dict) else {}

    async def tell(self, key: str, *, but: str | None = None) -> None:
        """Whoever waits for the key is to be woken, but for the object of the uid `but`."""
        await self._room.wait()
        # Of one key the latest counts.
        self._pending[key] = but
        now = time.monotonic()
        for seconds, told in self._again:
            told.append((now + seconds, key, but))
        if len(self._pending) >= _MOST_PENDING:
            self._room.clear()
        self._news.set()

    async def run(self) -> None:
        """Tell for ever; ends by cancellation. What fails is tried again until it is told."""
        while True:
            try:
                async with asyncio.timeout(_ROUND_SECONDS):
                    await self._news.wait()
                    await asyncio.sleep(_GATHERED_SECONDS)
            except TimeoutError:
                pass
            self._news.clear()
            self._repeat()
            await self.flush()

    def _repeat(self) -> None:
        now = time.monotonic()
        for _, told in self._again:
            while told and told[0][0] <= now and len(self._pending) < _MOST_PENDING:
                _, key, but = told.popleft()
                self._pending.setdefault(key, but)

    async def flush(self) -> None:
        """Tell all that is pending, and note how far it goes."""
        # All that these versions stand for is pending, or told: they are read first.
        noted = self._worth_noting()
        pending, self._pending = self._pending, {}
        items = list(pending.items())
        for start in range(0, len(items), _BATCH):
            await self._told(dict(items[start : start + _BATCH]), None)
        if noted is not None:
            await self._told({}, noted)
        self._room.set()

    async def _told(self, keys: Mapping[str, str | None], noted: str | None) -> None:
        async def tell(unit: UnitOfWork) -> None:
            for key, uid in keys.items():
                if uid is not None:
                    unit.is_known_to(uid, key)
            unit.enqueue_waiting_at_end(list(keys))
            if noted is not None:
                await unit.leases.note_fact(_FACT, noted)

        async for attempt in _PATIENCE.around(Unavailable, Conflict):
            with attempt:
                await self._database.run(tell)
        if noted is not None:
            self._noted, self._noted_at = noted, time.monotonic()

    def _worth_noting(self) -> str | None:
        """How far it goes by now, if it is time to note that."""
        if time.monotonic() - self._noted_at < _NOTE_EVERY_SECONDS:
            return None
        kept = dict(sorted(self.versions.items())[:_MOST_NOTED])
        noted = write_json(kept).decode()
        return noted if noted != self._noted else None
