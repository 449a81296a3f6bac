"""The garbage collector: looks at what may have lost its owners, and at owners that wait for what they own.

The store notes them in the table `garbage` in the transaction that makes them so, and an event wakes this. Any number
of processes may collect: each takes some rows for itself, and one that dies leaves them to the others.
"""

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from chandlery.contracts.messages import GARBAGE, Message, ObjectChanged
from chandlery.engine.resources import Resources
from chandlery.model.faults import Conflict, Fault
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.garbage import Link, Suspect
from chandlery.telemetry.tracing.spans import current
from chandlery.telemetry.tracing.traceparent import ROOT
from chandlery_syncer.garbage_rounds import look

log = structlog.get_logger(__name__)

_BATCH: Final = 50
_AFTER_FAILURE: Final = timedelta(seconds=10)
_LOST_LEASE: Final = "garbage"
_LOST_EVERY: Final = timedelta(minutes=1)
_MOST_LOST: Final = 5_000
"""Links that are looked at each time, of however many there are."""


class GarbageCollector:
    """One of these runs in each syncer."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._database = resources.database
        self._wake = asyncio.Event()
        self._searched_to: Link | None = None

    async def run(self) -> None:
        """Collect for ever; whatever goes wrong is tried again. Cancel it to end it."""
        subscription = await self._resources.bus.subscribe(f"ObjectChanged.{GARBAGE}", self._woken)
        try:
            while True:
                try:
                    await self.collect()
                except Fault as fault:
                    log.warning(f"garbage was not collected: {fault.message}", action="collect_garbage")
                except Exception as error:  # noqa: BLE001 - a collector that ends lets everything lie
                    log.error(f"garbage was not collected: {type(error).__name__}", action="collect_garbage")  # noqa: TRY400 - texts of exceptions can quote data
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._resources.settings.sweep_seconds):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            await asyncio.shield(subscription.close())

    async def collect(self) -> None:
        """Look at all that is due."""
        await self._database.run(self._find_lost)
        while suspects := await self._database.run(lambda unit: unit.garbage.take(limit=_BATCH)):
            for suspect in suspects:
                await self._look(suspect)

    async def _look(self, suspect: Suspect) -> None:
        # Whoever made it garbage did so in a transaction of several: it is a trace of its own.
        with current(self._resources.tracing.tracer.start_span("collect garbage", context=ROOT)) as span:
            if span.is_recording():
                span.set_attributes({"chandlery.kind": suspect.kind, "chandlery.uid": suspect.uid})
            await self._looked_at(suspect)

    async def _looked_at(self, suspect: Suspect) -> None:
        try:
            await self._database.run(lambda unit: look(unit, suspect))
        except Conflict:
            # Somebody has written it meanwhile: another look is due at once.
            await self._defer(suspect, timedelta(0))
        except Fault:
            raise
        except Exception as error:  # noqa: BLE001 - the others are not to wait for one that cannot be dealt with
            log.error(f"a {suspect.kind} cannot be collected: {type(error).__name__}", action="collect_garbage")  # noqa: TRY400 - texts of exceptions can quote data
            await self._defer(suspect, _AFTER_FAILURE)

    async def _defer(self, suspect: Suspect, pause: timedelta) -> None:
        await self._database.run(lambda unit: unit.garbage.settle(suspect, again_after=pause))

    async def _find_lost(self, unit: UnitOfWork) -> None:
        # What an older release has written beside us, or what was there before anybody collected.
        # Under another name each time: not even who has it takes it again before it runs out.
        if await unit.leases.acquire(_LOST_LEASE, owner=str(uuid.uuid4()), duration=_LOST_EVERY):
            reached = await unit.garbage.find_lost(limit=_MOST_LOST, after=self._searched_to)
            unit.after_commit(partial(setattr, self, "_searched_to", reached))

    async def _woken(self, message: Message) -> None:
        if isinstance(message, ObjectChanged):
            self._wake.set()
