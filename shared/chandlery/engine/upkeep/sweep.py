"""The sweep: what is due and has no message on the bus gets one, whoever died. One process at a time sweeps.

Comes in: the work queue's overdue rows, the outbox's leftovers, who could not be woken at once.
Goes out: commands on the bus.
Called by: `process`, which runs it beside every service; a lease in the database says whose turn it is.

It is the safety net under all that is faster: the relay, timers, wake-ups. Once a minute its holder also lets what is
old be forgotten (`retention.py`), and takes back what dead processes have noted of circuits. Whatever goes wrong is
tried again at the next interval: a sweep that ends would let the work of dead processes lie.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from chandlery.contracts.messages import Reconcile
from chandlery.engine.circuits.circuit_sync import tell_of_silent
from chandlery.engine.relay import Relay
from chandlery.engine.upkeep.retention import Retention
from chandlery.messaging.bus import Bus
from chandlery.model.faults import Fault
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.telemetry.catalog.work import SWEEPS, SWEPT

log = structlog.get_logger(__name__)

_DONE, _FAILED = "done", "failed"
_LEASE = "sweep"
_BATCH = 500
_PRUNE_EVERY = 60
_BATCHES = 10


class Sweep:
    """Looks at the database once per interval, while it holds the lease."""

    def __init__(self, database: Database, bus: Bus, relay: Relay, settings: Settings, *, owner: str) -> None:
        self._database = database
        self._bus = bus
        self._relay = relay
        self._settings = settings
        self._owner = owner
        self._metrics = database.metrics
        self._retention = Retention(database, settings)
        self._rounds = 0
        self._held_until = 0.0
        self._is_more_to_prune = False

    @property
    def is_holder(self) -> bool:
        """Whether this process is the one that sweeps, for as long as it may be sure of that."""
        return time.monotonic() < self._held_until

    async def run(self) -> None:
        """Sweep for ever; whatever goes wrong is tried again at the next interval. Cancel it to end it."""
        try:
            await self._keep_sweeping()
        finally:
            self._held_until = 0.0
            # So that the next process need not wait until the lease runs out.
            with suppress(Fault):
                await asyncio.shield(self._database.run(lambda unit: unit.leases.give_back(_LEASE, owner=self._owner)))

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.once()
            except Fault as fault:
                self._metrics.count(SWEEPS, _FAILED)
                log.warning(f"the sweep was skipped: {fault.message}", action="sweep")
            except Exception as error:  # noqa: BLE001 - a sweep that ends lets all work of dead processes lie
                self._metrics.count(SWEEPS, _FAILED)
                log.error(f"the sweep failed: {type(error).__name__}", action="sweep", error_type=type(error).__name__)  # noqa: TRY400 - texts of exceptions can quote data
            await asyncio.sleep(self._settings.sweep_seconds)

    async def once(self) -> int:
        """One sweep; returns how many commands were put on the bus."""
        if not await self._acquired():
            return 0
        # First what needs no bus: the log must not grow while that is away.
        self._rounds += 1
        if self._rounds % _PRUNE_EVERY == 1 or self._is_more_to_prune:
            # Should it fail, the sweep goes on without it for a minute.
            self._is_more_to_prune = False
            await self._database.run(tell_of_silent)
            self._is_more_to_prune = await self._retention.prune()
        await self._database.enqueue_late()
        commands = await self._database.run(self._due)
        if commands:
            what = f"objects that are due and have no message on the bus: {len(commands)}"
            log.debug(what, action="sweep", count=len(commands))
        try:
            if commands:
                await self._bus.publish(commands)
        finally:
            # All the same: a lane that the bus refuses must not keep what others have left behind.
            await self._publish_left_behind()
        self._metrics.count(SWEEPS, _DONE)
        for kind, number in Counter(command.kind for command in commands).items():
            self._metrics.count(SWEPT, kind, by=number)
        return len(commands)

    async def _publish_left_behind(self) -> None:
        for _ in range(_BATCHES):
            if await self._relay.publish_left_behind(limit=_BATCH) < _BATCH:
                return

    async def _acquired(self) -> bool:
        seconds = max(5.0, 3 * self._settings.sweep_seconds)
        # Counted from before the write: the row says the same or later.
        until = time.monotonic() + seconds
        self._held_until = until if await self._database.run(partial(self._acquire, seconds)) else 0.0
        return self.is_holder

    async def _acquire(self, seconds: float, unit: UnitOfWork) -> bool:
        return await unit.leases.acquire(_LEASE, owner=self._owner, duration=timedelta(seconds=seconds))

    async def _due(self, unit: UnitOfWork) -> Sequence[Reconcile]:
        return await unit.work_queue.due(limit=_BATCH)
