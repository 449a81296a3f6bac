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
from collections.abc import AsyncIterator, Sequence

import structlog

from chandlery.model.faults import Expired, Fault, Unavailable
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import LoggedChange
from chandlery.store.sealing.data_key_cache import DataKeyNeeded
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery_gateway.identity.rbac.kept_rules import KeptRules
from chandlery_gateway.watch.older_changes import BATCH, OlderChanges, refuse_forgotten
from chandlery_gateway.watch.recent_changes import NOTHING, Batch, Bell, RecentChanges, portions
from chandlery_gateway.watch.watch_counts import ChangeLogLag, WatchCounts
from chandlery_gateway.watch.watch_lines import ChangeViews

log = structlog.get_logger(__name__)

_TICK_SECONDS = 0.1
_IDLE_TICK_SECONDS = 0.5
"""Roles that another gateway has changed count here within a second."""
_PAUSE_AFTER_FAULT_SECONDS = 1.0
_STANDSTILL_SECONDS = 20.0
"""Without news of the log, which is looked at twice a second at least."""
_PATIENCE_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 1.0
_LEAST_GATHERING = 0.003
_GATHERING_FOR_EACH = 0.0001
_MOST_GATHERING = 0.025
"""Seconds from one look to the next, that for each watch included: about what it takes to tell one something."""

_TURNS, _TURN_SECONDS = 20, 0.005
"""How long what comes next waits, in a burst, for watches that have not told what came before."""


class WatchHub:
    """The tail of the change log, shared by all watches."""

    def __init__(self, database: Database, *, rules: KeptRules, metrics: Metrics = NO_METRICS) -> None:
        self.counts = WatchCounts(metrics)
        self.views = ChangeViews(database.codec)
        self._database = database
        self._rules = rules
        self._recent = RecentChanges()
        self._older = OlderChanges(database)
        self._seen = 0
        self._has_begun = False
        self._wake = asyncio.Event()
        self._arrived = Bell()
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
            looked = time.monotonic()
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
            # Not after a pause. Of many changes in a short time each watch is told at once.
            await asyncio.sleep(max(0.0, looked + self._gathering() - time.monotonic()))
            self._wake.clear()

    def _gathering(self) -> float:
        return min(max(_LEAST_GATHERING, _GATHERING_FOR_EACH * self._watchers), _MOST_GATHERING)

    async def begin(self) -> None:
        """From here on nothing is missed, neither changes nor rules. Raises Unavailable."""
        newest = await self._database.run(_newest)
        if not self._has_begun or newest < self._seen:
            # The latter if the database has been put back to an earlier day.
            self._seen, self._has_begun = newest, True
            self._recent.begin_at(newest)
            self._older.forget()
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
        await self._arrived.ring()

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
            await refuse_forgotten(unit, asked)
            # An object's own version may be beyond the horizon, where smaller ones can still appear.
            return min(asked, snapshot.version)

        return await self._database.run(position)

    async def follow(self, after: int, *, until: asyncio.Event) -> AsyncIterator[Batch]:
        """Batches of changes after the position, in order and without gaps; an empty batch at least every second."""
        self._watchers += 1
        self.wake()
        try:
            while not self._is_closed and not until.is_set():
                if after < self._recent.complete_from:
                    older = await self._older.at(after, complete_from=self._recent.complete_from)
                    for batch in older.after(after):
                        yield batch
                        await asyncio.sleep(0)
                    after = older.reached
                    # Or it would stay in memory for as long as the watch waits for something new.
                    del older
                elif batch := self._recent.after(after):
                    after = batch.last
                    yield batch
                    # Watches advance side by side, so that what one has made of a change is at hand for the next.
                    await asyncio.sleep(0)
                else:
                    await self._arrived.wait(seconds=_TOLD_EVERY_SECONDS)
                    if not self._recent.after(after):
                        yield NOTHING
        finally:
            self._watchers -= 1

    async def _catch_up(self) -> None:
        self._looks_begun += 1
        look = self._looks_begun
        if not self._has_begun or self._rules.must_load:
            await self.begin()
        is_behind, is_first = True, True
        while is_behind:
            begun = time.monotonic()
            batch, rules = await self._database.run(self._read)
            self._looked()
            is_behind = len(batch) == BATCH
            await self._rules.absorb(rules, begun=begun, passed=batch[-1].position if batch else self._seen)
            for portion in portions(batch):
                if not is_first:
                    await self._give_way()
                is_first = False
                self._recent.keep(portion)
                self._seen = portion[-1].position
                await self._arrived.ring()
            self._lag.passed(self._seen)
        self._looks_done = look
        async with self._looked_at:
            self._looked_at.notify_all()

    async def _give_way(self) -> None:
        """Until all watches have told what is there: more would push it out. Who is slow has to read it later."""
        for _ in range(_TURNS):
            if self._arrived.waiting >= self._watchers:
                return
            await asyncio.sleep(_TURN_SECONDS)

    async def _read(self, unit: UnitOfWork) -> tuple[Sequence[LoggedChange], Sequence[LoggedChange]]:
        """What comes next, and what has become of rules since; the latter after it, so that it is never older."""
        batch = await unit.changes.read(self._seen, limit=BATCH)
        await self._lag.measure(unit, after=batch[-1].position if batch else self._seen)
        return batch, await unit.access_rules.changes(self._seen, but=self._rules.applied)

    def _looked(self) -> None:
        self._last_look = asyncio.get_running_loop().time()


async def _newest(unit: UnitOfWork) -> int:
    return await unit.changes.horizon() - 1
