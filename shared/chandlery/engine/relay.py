"""Moves outbox rows to the bus: those that this process has just committed at once, others' leftovers when swept.

Comes in: entries that a transaction has committed (`offer`) or that were left behind (`publish_left_behind`).
Goes out: batches to the bus, several under way at a time; what it confirms is removed from the outbox.
Called by: the database, after each commit; the sweep; `process`, which runs it and lets it drain at the end.

Nothing is kept in memory that is not in the database as well: what cannot be published, or comes when too much waits,
stays there for the sweep. A queue that the bus refuses keeps no other from being served: a batch that fails is sent
again by where it goes.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from chandlery.contracts.topology import Route, route
from chandlery.messaging.bus import Bus
from chandlery.model.faults import Fault
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.outbox import OutboxEntry

log = structlog.get_logger(__name__)

_BATCH = 200
_BATCHES_UNDER_WAY = 4
_MOST_WAITING = 20_000
"""What comes on top while the bus is slow or away is left to the sweep, which finds it in the database."""
_LEFT_BEHIND = timedelta(seconds=10)
"""After this time a row's own process is presumed dead; publishing it twice does no harm."""


class Relay:
    """One per process. `run` ends by cancellation, after which `drain` publishes what is left."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._queue: asyncio.Queue[OutboxEntry] = asyncio.Queue()
        self._under_way: set[asyncio.Task[bool]] = set()
        database.on_commit(self.offer)

    def offer(self, entries: Sequence[OutboxEntry]) -> None:
        """Take entries that were committed a moment ago, or leave them in the outbox if too many wait."""
        if self._queue.qsize() < _MOST_WAITING:
            for entry in entries:
                self._queue.put_nowait(entry)

    async def run(self) -> None:
        """Publish for ever. What cannot be published stays in the outbox for the sweep."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
            # A confirmation takes the server a write to disk: the next batch need not wait for it.
            while len(self._under_way) >= _BATCHES_UNDER_WAY:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._publish(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Publish what is waiting, and wait for what is under way."""
        batch = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        if batch:
            await self._publish(batch)
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def publish_left_behind(self, *, limit: int = 500) -> int:
        """Publish rows whose process died between its commit and the bus; returns how many, at most `limit`.

        Fewer too if the bus does not take them: then it is no use to go on.
        """

        async def find(unit: UnitOfWork) -> Sequence[OutboxEntry]:
            return await unit.outbox.older_than(unit.now - _LEFT_BEHIND, limit=limit)

        entries = await self._database.run(find)
        return len(entries) if entries and await self._publish(entries) else 0

    async def _publish(self, entries: Sequence[OutboxEntry]) -> bool:
        """Whether all are published. What the bus refuses stays, and keeps nothing else from being published."""
        if log.is_enabled_for(logging.DEBUG):
            _say_published(entries)
        try:
            await self._bus.publish([entry.message for entry in entries])
        except Fault as fault:
            if not await self._is_bus_there() or len(ways := _by_way(entries)) == 1:
                _say_left(entries, fault)
                return False
            return all([await self._publish(of_one_way) for of_one_way in ways])
        try:
            await self._database.run(lambda unit: unit.outbox.remove([entry.id for entry in entries]))
        except Fault as fault:
            _say_left(entries, fault)
            return False
        return True

    async def _is_bus_there(self) -> bool:
        with suppress(Fault):
            await self._bus.ping()
            return True
        return False


def _by_way(entries: Sequence[OutboxEntry]) -> Sequence[Sequence[OutboxEntry]]:
    """By where they go: to one queue all or none can be sent."""
    ways: dict[Route, list[OutboxEntry]] = {}
    for entry in entries:
        ways.setdefault(route(entry.message), []).append(entry)
    return list(ways.values())


def _say_published(entries: Sequence[OutboxEntry]) -> None:
    for entry in entries:
        message = entry.message
        kind, uid, lane = (getattr(message, field, None) for field in ("kind", "uid", "lane"))
        log.debug(f"{message.type} is published", action="publish_message", kind=kind, uid=uid, lane=lane)


def _say_left(entries: Sequence[OutboxEntry], fault: Fault) -> None:
    count = len(entries)
    log.warning(f"{count} messages stay in the outbox: {fault.message}", action="relay_messages", count=count)
