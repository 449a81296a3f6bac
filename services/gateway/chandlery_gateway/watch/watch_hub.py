"""Follows the change log once for the whole process, so that a thousand watchers cost the database as much as one.

Comes in: word that something was written, from this process's own writes (`wake`) and from the workers' events. While
anybody watches it also looks ten times a second, which is how changes of other gateways are seen; else twice.
Goes out: batches of changes, in order and without gaps, to each watch that follows; the newest stay in memory. And what
has become of roles and bindings to `rule_keeper`, before any watch is told of what came after it.
Called by: `main.py`, which runs it; `watch_stream.py`, one for each client that watches.

Who has fallen behind what is in memory reads from the database, and is told to list anew where the log ends.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

import structlog

from chandlery.model.faults import Expired, Fault, Unavailable
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import LoggedChange
from chandlery.store.sealing.data_key_cache import DataKeyNeeded
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch.watch_counts import ChangeLogLag, WatchCounts
from chandlery_gateway.watch.watch_lines import ChangeViews

log = structlog.get_logger(__name__)

_BATCH = 1000
_KEPT = 5_000
_KEPT_BYTES = 16 * 1024 * 1024
"""Recent changes in memory, and how long they are as JSON; who is further behind reads from the database."""
_AT_ONCE = 200
_TICK_SECONDS = 0.1
_IDLE_TICK_SECONDS = 0.5
"""Roles that another gateway has changed count here within a second."""
_PAUSE_AFTER_FAULT_SECONDS = 1.0
_STANDSTILL_SECONDS = 20.0
"""Without news of the log, which is looked at twice a second at least."""
_PATIENCE_SECONDS = 1.0


class WatchHub:
    """The tail of the change log, shared by all watches."""

    def __init__(self, database: Database, *, rules: RuleKeeper, metrics: Metrics = NO_METRICS) -> None:
        self.counts = WatchCounts(metrics)
        self.views = ChangeViews(database.codec)
        self._database = database
        self._rules = rules
        self._recent: deque[LoggedChange] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._complete_from = 0
        """All changes after this position are in `_recent`."""
        self._seen = 0
        self._has_begun = False
        self._wake = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._watchers = 0
        self._is_closed = False
        self._last_look: float | None = None
        """When the log was last read, in the loop's time; None before it is followed."""
        self._lag = ChangeLogLag(metrics, last_look=lambda: self._last_look)
        self._looks_begun = self._looks_done = 0
        self._looked_at = asyncio.Condition()

    def wake(self) -> None:
        """Something was written: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever; ends by cancellation."""
        self._looked()
        while True:
            try:
                await self._catch_up()
            except Exception as error:  # noqa: BLE001 - without it every watch would fall silent
                why = error.message if isinstance(error, Fault) else type(error).__name__
                log.warning(f"the change log cannot be read: {why}", action="follow_changes")
                self._rules.lose()
                await asyncio.sleep(_PAUSE_AFTER_FAULT_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS if self._watchers else _IDLE_TICK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def begin(self) -> None:
        """From here on nothing is missed, neither changes nor rules. Raises Unavailable."""
        newest = await self._database.run(_newest)
        if not self._has_begun or newest < self._seen:
            # The latter if the database has been put back to an earlier day.
            self._seen = self._complete_from = newest
            self._recent.clear()
            self._sizes.clear()
            self._bytes, self._has_begun = 0, True
        # Only now: what changes while they are read is told of by the log.
        await self._rules.load()

    async def caught_up(self) -> None:
        """Wait until all that is committed by now has been seen, if that does not take too long."""
        look = self._looks_begun + 1
        self.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS), self._looked_at:
                await self._looked_at.wait_for(lambda: self._looks_done >= look)

    async def check(self) -> None:
        """A part of readiness; raises Unavailable while watches show nothing new."""
        now = asyncio.get_running_loop().time()
        seconds = now - (now if self._last_look is None else self._last_look)
        if seconds > _STANDSTILL_SECONDS:
            raise Unavailable(f"the change log has not been read for {seconds:.0f} s, so watches receive nothing new")

    async def provide(self, needed: DataKeyNeeded) -> None:
        """Have the key at hand that a change is sealed with; raises Unavailable."""
        await self._database.data_keys.provide(needed.key_id)

    async def close(self) -> None:
        """End all watches; clients come back to another gateway."""
        self._is_closed = True
        async with self._arrived:
            self._arrived.notify_all()

    async def start_position(self, asked: int) -> int:
        """Where a watch may go on from a version (0: from now).

        Raises Expired if changes after it have been forgotten, or if it has never been given out: then the database has
        been put back to an earlier day, and only a new list helps.
        """

        async def position(unit: UnitOfWork) -> int:
            snapshot = await unit.changes.snapshot()
            if not asked:
                return snapshot.version
            if asked >= snapshot.end:
                raise Expired(f"unknown resource version: {asked} is larger than any; list again and watch from there")
            await _refuse_forgotten(unit, asked)
            # An object's own version may be beyond the horizon, where smaller ones can still appear.
            return min(asked, snapshot.version)

        return await self._database.run(position)

    async def follow(self, after: int, *, until: asyncio.Event) -> AsyncIterator[Sequence[LoggedChange]]:
        """Batches of changes after the position, in order and without gaps; an empty batch at least every second."""
        self._watchers += 1
        self.wake()
        try:
            while not self._is_closed and not until.is_set():
                batch, after = await self._after(after)
                for start in range(0, len(batch), _AT_ONCE):
                    yield batch[start : start + _AT_ONCE]
                    # Watches advance side by side, so that what one has made of a change is at hand for the next.
                    await asyncio.sleep(0)
                if not batch:
                    yield ()
                    await self._next(after)
        finally:
            self._watchers -= 1

    async def _after(self, position: int) -> tuple[Sequence[LoggedChange], int]:
        """Changes after the position, and the position that is reached with them."""
        complete_from = self._complete_from
        if position >= complete_from:
            newer: list[LoggedChange] = []
            for change in reversed(self._recent):
                if change.position <= position:
                    break
                newer.append(change)
            return newer[::-1], newer[0].position if newer else position
        batch = await self._database.run(lambda unit: _read_older(unit, position))
        # Nothing up to where memory begins: go on there, or the database would be asked for it again and again.
        return batch, batch[-1].position if batch else complete_from

    async def _next(self, after: int) -> None:
        async with self._arrived:
            if self._seen > after or self._is_closed:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._arrived.wait()

    async def _catch_up(self) -> None:
        self._looks_begun += 1
        look = self._looks_begun
        if not self._has_begun or self._rules.must_load:
            await self.begin()
        is_behind = True
        while is_behind:
            begun = time.monotonic()
            batch, rules = await self._database.run(self._read)
            self._looked()
            is_behind = len(batch) == _BATCH
            seen = batch[-1].position if batch else self._seen
            await self._rules.absorb(rules, begun=begun, passed=seen)
            for change in batch:
                self._keep(change)
            self._seen = seen
            self._lag.passed(seen)
            if batch:
                async with self._arrived:
                    self._arrived.notify_all()
        self._looks_done = look
        async with self._looked_at:
            self._looked_at.notify_all()

    async def _read(self, unit: UnitOfWork) -> tuple[Sequence[LoggedChange], Sequence[LoggedChange]]:
        """What comes next, and what has become of rules since; the latter after it, so that it is never older."""
        batch = await unit.changes.read(self._seen, limit=_BATCH)
        await self._lag.measure(unit, after=batch[-1].position if batch else self._seen)
        return batch, await unit.access_rules.changes(self._seen, but=self._rules.applied)

    def _looked(self) -> None:
        self._last_look = asyncio.get_running_loop().time()

    def _keep(self, change: LoggedChange) -> None:
        size = len(change.body)
        self._recent.append(change)
        self._sizes.append(size)
        self._bytes += size
        while len(self._recent) > _KEPT or self._bytes > _KEPT_BYTES:
            self._complete_from = self._recent.popleft().position
            self._bytes -= self._sizes.popleft()


async def _newest(unit: UnitOfWork) -> int:
    return await unit.changes.horizon() - 1


async def _read_older(unit: UnitOfWork, position: int) -> Sequence[LoggedChange]:
    batch = await unit.changes.read(position, limit=_BATCH)
    # After reading, so that nothing is forgotten in between.
    await _refuse_forgotten(unit, position)
    return batch


async def _refuse_forgotten(unit: UnitOfWork, position: int) -> None:
    if position < await unit.changes.trimmed_to():
        raise Expired(f"too old resource version: {position}; list again and watch from there")
