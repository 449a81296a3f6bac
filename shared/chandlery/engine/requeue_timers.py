"""Sends a command at the moment when its object is due again, for what this process has put off itself.

Without it a poll or a second try would wait for the next sweep. The sweep stays for what is due later than a timer here
is worth, and for what a process that ended has left behind: it waits a little for the reminder to come.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from chandlery.contracts.messages import Reconcile
from chandlery.messaging.bus import Bus
from chandlery.model.faults import Fault

log = structlog.get_logger(__name__)

_WITHIN: Final = timedelta(seconds=30)
_MOST: Final = 20_000
"""Timers at a time; what comes on top is left to the sweep."""


class RequeueTimers:
    """The timers of one process. Without a bus there are none, and all is left to the sweep."""

    def __init__(self, bus: Bus | None = None, *, most: int = _MOST) -> None:
        self._bus = bus
        self._most = most
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._due: list[Reconcile] = []
        self._sending: asyncio.Task[None] | None = None

    def take(self, due_at: datetime | None, now: datetime) -> bool:
        """Whether this process is to remind of what is due then."""
        if self._bus is None or due_at is None or len(self._timers) >= self._most:
            return False
        return now < due_at <= now + _WITHIN

    def set(self, command: Reconcile, delay: timedelta) -> None:
        """Send the command after this time; a reminder of the same object that is still to come is replaced."""
        if earlier := self._timers.get(command.uid):
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._timers[command.uid] = loop.call_later(max(0.0, delay.total_seconds()), self._ring, command)

    def _ring(self, command: Reconcile) -> None:
        self._timers.pop(command.uid, None)
        self._due.append(command)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._due and self._bus is not None:
            batch, self._due = self._due, []
            log.debug(f"objects that are due again: {len(batch)}", action="remind", count=len(batch))
            try:
                await self._bus.publish(batch)
            except Fault as fault:
                log.warning(
                    f"{len(batch)} timers could not be carried out and are left to the sweep: {fault.message}",
                    action="remind",
                )

    async def close(self) -> None:
        """Forget all timers; what is being sent is waited for."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._sending is not None:
            await asyncio.wait({self._sending})
