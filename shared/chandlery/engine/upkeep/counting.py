"""Counts what is in the database for metrics: one process for all, so that sums over processes are right.

Comes in: counts of the store (`work_counts.py`), of leases, of the bus.
Goes out: gauges of the process that holds the lease of the sweep; those of a process that does not are not there.
Called by: `process`, which runs it beside every service that keeps metrics.

A count that fails is left out until the next one: no number is better than an old one, and alerts notice that. However
large the database is, each count takes no more than a twentieth of the time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final

import structlog

from chandlery.contracts.topology import WORK_QUEUES
from chandlery.engine.circuits.lane_shares import count_workers
from chandlery.engine.upkeep.counted_parts import CatalogCounting, Counted, ObjectCounting
from chandlery.messaging.bus import Bus
from chandlery.model.faults import Fault
from chandlery.model.objects import kinds
from chandlery.reconcile.reconcile_result import broker_label
from chandlery.store.database import Database, UnitOfWork
from chandlery.telemetry.catalog.database_use import DATABASE_BYTES
from chandlery.telemetry.catalog.message_flow import DEAD_LETTERS, OUTBOX, OUTBOX_AGE_SECONDS
from chandlery.telemetry.catalog.processes import REPLICAS
from chandlery.telemetry.catalog.work import (
    BACKLOG,
    BACKLOG_AGE_SECONDS,
    BINDINGS_EXPIRING,
    CATALOG_SYNCED,
    OBJECTS,
)
from chandlery.telemetry.metric import Gauge
from chandlery.telemetry.metrics import Metrics, Sample

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 15.0
_RARELY_SECONDS: Final = 60.0
_SHARE: Final = 20
"""A count that takes a second is made every twenty at the most."""
_TICK_SECONDS: Final = 1.0
_WORKER_OF: Final = {kind: queue.partition(".")[0] for kind, queue in WORK_QUEUES.items()}
_OF_BROKERS: Final = (kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind)
"""Each service broker has a lane for these."""
_WORKERS: Final = sorted(set(_WORKER_OF.values()))


class Count:
    """One thing that is counted, and when it was."""

    def __init__(
        self,
        counted: Callable[[], Awaitable[Counted | None]],
        *gauges: Gauge,
        every_seconds: float,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`counted` is asked again and again while it returns None; `forget` ends that."""
        self._forget = forget
        self._counted = counted
        self.gauges = gauges
        self._every_seconds = every_seconds
        self._next_at = 0.0
        self.samples: Counted = {}

    async def make(self) -> None:
        """Count if it is time for that."""
        began = time.monotonic()
        if began < self._next_at:
            return
        every_seconds = self._every_seconds
        try:
            counted = await self._counted()
            if counted is None:
                # A part of it: until the last one is there, the number before is told.
                every_seconds = 0.0
            else:
                self.samples = counted
        except Exception as error:  # noqa: BLE001 - one that fails must not take the others along
            self.samples = {}
            why = error.message if isinstance(error, Fault) else type(error).__name__
            log.warning(f"{self.gauges[0].name} could not be counted: {why}", action="count_for_metrics")
        took = time.monotonic() - began
        self._next_at = began + max(every_seconds, _SHARE * took)

    def forget(self) -> None:
        """Somebody else counts."""
        self.samples, self._next_at = {}, 0.0
        self._forget()


class Counting:
    """One per process; counts while the process holds the lease."""

    def __init__(self, database: Database, bus: Bus, metrics: Metrics, *, is_holder: Callable[[], bool]) -> None:
        """`is_holder` tells whether the process holds the lease at this moment; it is asked at each scrape, too."""
        self._database = database
        self._bus = bus
        self._is_holder = is_holder
        objects, catalogs = ObjectCounting(database), CatalogCounting(database)
        self._counts = (
            Count(self._run(_backlog), BACKLOG, BACKLOG_AGE_SECONDS, every_seconds=_EVERY_SECONDS),
            Count(self._run(_outbox), OUTBOX, OUTBOX_AGE_SECONDS, every_seconds=_EVERY_SECONDS),
            Count(self._run(_expiring), BINDINGS_EXPIRING, every_seconds=_EVERY_SECONDS),
            Count(self._run(_replicas), REPLICAS, every_seconds=_EVERY_SECONDS),
            Count(self._run(_size), DATABASE_BYTES, every_seconds=_EVERY_SECONDS),
            Count(self._dead_letters, DEAD_LETTERS, every_seconds=_EVERY_SECONDS),
            Count(objects.next_part, OBJECTS, every_seconds=_RARELY_SECONDS, forget=objects.begin),
            Count(catalogs.next_part, CATALOG_SYNCED, every_seconds=_RARELY_SECONDS, forget=catalogs.begin),
        )
        for count in self._counts:
            for gauge in count.gauges:
                metrics.collect(gauge, partial(self._told, count, gauge))

    async def run(self) -> None:
        """Count for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_TICK_SECONDS)

    async def once(self) -> None:
        """Count what is to be counted now."""
        for count in self._counts:
            if self._is_holder():
                await count.make()
            else:
                count.forget()

    def _told(self, count: Count, gauge: Gauge) -> Sequence[Sample]:
        # A process that was halted may have lost the lease a moment ago.
        return count.samples.get(gauge, []) if self._is_holder() else []

    def _run(self, work: Callable[[UnitOfWork], Awaitable[Counted]]) -> Callable[[], Awaitable[Counted]]:
        # Each in a transaction of its own: SQLite lets nobody write meanwhile.
        return lambda: self._database.run(work)

    async def _dead_letters(self) -> Counted:
        return {
            DEAD_LETTERS: [Sample((queue,), count) for queue, count in (await self._bus.count_dead_letters()).items()]
        }


async def _backlog(unit: UnitOfWork) -> Counted:
    found = [
        ((_WORKER_OF.get(each.kind, ""), each.kind, broker_label(each.lane)), each)
        for each in await unit.counts.backlog()
    ]
    # What waits comes first: a label has room for so many brokers. All others are told, too: an autoscaler has to
    # tell a worker that has nothing to do from one of which nobody knows.
    idle = dict.fromkeys(_idle(await unit.broker_facts.lanes()), 0.0)
    for labels, _ in found:
        idle.pop(labels, None)
    nothing = [Sample(labels, value) for labels, value in idle.items()]
    return {
        BACKLOG: [*(Sample(labels, each.number) for labels, each in found), *nothing],
        BACKLOG_AGE_SECONDS: [*(Sample(labels, each.seconds) for labels, each in found), *nothing],
    }


def _idle(lanes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each kind of object by itself, and of each service broker what can be at work for it."""
    for kind, worker in _WORKER_OF.items():
        yield worker, kind, ""
        if kind in _OF_BROKERS:
            yield from ((worker, kind, broker_label(lane)) for lane in lanes)


async def _outbox(unit: UnitOfWork) -> Counted:
    waiting = await unit.counts.outbox()
    return {OUTBOX: [Sample((), waiting.number)], OUTBOX_AGE_SECONDS: [Sample((), waiting.seconds)]}


async def _expiring(unit: UnitOfWork) -> Counted:
    return {
        BINDINGS_EXPIRING: [
            Sample((broker_label(each.lane), within), number)
            for each in await unit.counts.expiring()
            for within, number in (("hour", each.within_hour), ("day", each.within_day), ("week", each.within_week))
        ]
    }


async def _replicas(unit: UnitOfWork) -> Counted:
    workers = await count_workers(unit)
    return {REPLICAS: [Sample((worker,), workers[worker]) for worker in _WORKERS]}


async def _size(unit: UnitOfWork) -> Counted:
    return {DATABASE_BYTES: [Sample((), await unit.counts.size())]}
