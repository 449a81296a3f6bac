"""Sees to objects at the moment when they are due again, for what this process has put off itself.

Without it a poll or a second try would wait for the next sweep. The sweep stays for what is due later than a timer here
is worth, and for what a process that ended has left behind: it waits a little for the reminder to come.

What is due on a broker's lane that this process listens on is handed to that (`reminded_rounds`), many at a time; the
rest goes to the bus as commands. Moments are rounded up to ticks, so that what is due at about the same time is begun
together.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
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
_TICKS: Final = ((8.0, 0.25), (2.0, 0.0625), (0.5, 0.015625))
"""From which pause on, and how long: powers of two, so that long ticks meet short ones."""
Taker = Callable[[Sequence[Reconcile]], Sequence[Reconcile]]
"""Sees to these, and returns those that it leaves to others."""


class RequeueTimers:
    """The timers of one process. Without a bus there are none, and all is left to the sweep."""

    def __init__(self, bus: Bus | None = None, *, most: int = _MOST) -> None:
        self._bus = bus
        self._most = most
        self._ticks: dict[float, dict[str, Reconcile]] = {}
        self._tick_of: dict[str, float] = {}
        self._takers: dict[tuple[str, str], Taker] = {}
        self._handles: dict[float, asyncio.TimerHandle] = {}
        self._due: list[Reconcile] = []
        self._sending: asyncio.Task[None] | None = None

    def take(self, due_at: datetime | None, now: datetime) -> bool:
        """Whether this process is to remind of what is due then."""
        if self._bus is None or due_at is None or len(self._tick_of) >= self._most:
            return False
        return now < due_at <= now + _WITHIN

    def set(self, command: Reconcile, delay: timedelta) -> None:
        """See to the object after this time; a reminder of the same object that is still to come is replaced."""
        self._forget(command.uid)
        loop, seconds = asyncio.get_running_loop(), max(0.0, delay.total_seconds())
        tick = tick_after(loop.time() + seconds, pause=seconds)
        if tick not in self._ticks:
            self._ticks[tick] = {}
            self._handles[tick] = loop.call_at(tick, self._ring, tick)
        self._ticks[tick][command.uid] = command
        self._tick_of[command.uid] = tick

    def hand_to(self, kind: str, lane: str, taker: Taker | None) -> None:
        """From now on what is due there goes to the taker; None for the bus again."""
        if taker is None:
            self._takers.pop((kind, lane), None)
        else:
            self._takers[kind, lane] = taker

    @property
    def takers(self) -> Collection[tuple[str, str]]:
        """Kinds and lanes of which what is due is handed on."""
        return self._takers.keys()

    def send(self, commands: Sequence[Reconcile]) -> None:
        """Leave these to whoever listens."""
        self._due += commands
        if self._due and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send())

    def _forget(self, uid: str) -> None:
        if (tick := self._tick_of.pop(uid, None)) is not None:
            del self._ticks[tick][uid]

    def _ring(self, tick: float) -> None:
        del self._handles[tick]
        by_lane = defaultdict(list)
        for uid, command in self._ticks.pop(tick).items():
            del self._tick_of[uid]
            by_lane[command.kind, command.lane].append(command)
        for place, commands in by_lane.items():
            log.debug(f"objects that are due again: {len(commands)}", action="remind", count=len(commands))
            taker = self._takers.get(place)
            self.send(commands if taker is None else taker(commands))

    async def _send(self) -> None:
        while self._due and self._bus is not None:
            batch, self._due = self._due, []
            try:
                await self._bus.publish(batch)
            except Fault as fault:
                log.warning(
                    f"{len(batch)} timers could not be carried out and are left to the sweep: {fault.message}",
                    action="remind",
                )

    async def close(self) -> None:
        """Forget all timers; what is being sent is waited for."""
        for handle in self._handles.values():
            handle.cancel()
        for kept in (self._handles, self._ticks, self._tick_of):
            kept.clear()
        if self._sending is not None:
            await asyncio.wait({self._sending})


def tick_after(moment: float, *, pause: float) -> float:
    """The moment at which what is due then is seen to, by how long the pause was; all in seconds."""
    length = next((length for least, length in _TICKS if pause >= least), 0.0)
    return math.ceil(moment / length) * length if length else moment
