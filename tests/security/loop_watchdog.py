"""Notices when the event loop is held: when nothing else gets a turn while this process uses the processor.

A pulse in the loop reads the processor time of the whole process each few milliseconds. Between two pulses of a loop
that is free, there is little of it; when some step computes for long, or a thread keeps the interpreter to itself, all
of that lies between two pulses. Processor time, and not the clock: on a busy machine a process may stand still for as
long as it likes without having held anything.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from chandlery.process.collector import keep_from_collector, let_collector_go_on

MOST_SECONDS = 0.05
"""Of processor time that may pass before another request gets a turn."""
_MOST_SLOWNESS = 1.5
_PACE_STEPS = 40_000
_PULSE_SECONDS = 0.002
_LOOK_SECONDS = 0.01


@dataclass
class Deferral:
    """A time in which nothing else got a turn."""

    seconds: float
    stacks: list[str] = field(default_factory=list)
    """What the loop was seen doing meanwhile; empty if one call into native code took all of it."""
    about: list[Any] = field(default_factory=list)
    """What was being served, if somebody knows."""

    def __str__(self) -> str:
        seen = "".join(self.stacks[-1:]) or "  (within one native call, of the loop's thread or another)\n"
        return f"the event loop was held for {self.seconds * 1000:.0f} ms of processor time:\n{seen}"


@dataclass
class LoopWatchdog:
    """What has been noticed so far."""

    holds: list[Deferral] = field(default_factory=list)
    longest: float = 0.0
    _pulse_at: float = 0.0
    _stacks: list[str] = field(default_factory=list)
    _is_watching: bool = False
    _slowness: float = 1.0

    def begin(self) -> None:
        """From now on it counts: what a fixture needs to start is nobody's input."""
        # As a process does when it has started; here all of pytest is there by then.
        let_collector_go_on()
        keep_from_collector()
        self._slowness = _slowness()
        self._pulse_at, self._is_watching = time.process_time(), True

    def end(self) -> None:
        """All that has happened since the last pulse counts, and nothing more."""
        self.beat()
        self._is_watching = False
        # What shares a core and its caches makes the same work take longer, in processor time too.
        most = MOST_SECONDS * max(self._slowness, _slowness())
        self.holds = [hold for hold in self.holds if hold.seconds > most]

    def beat(self) -> None:
        """One pulse."""
        if not self._is_watching:
            return
        now = time.process_time()
        passed, self._pulse_at = now - self._pulse_at, now
        stacks, self._stacks = self._stacks, []
        self.longest = max(self.longest, passed)
        if passed > MOST_SECONDS:
            self.holds.append(Deferral(passed, stacks, self.now_served()))

    def now_served(self) -> list[Any]:
        """For whoever knows it."""
        return []

    def look(self, thread: int) -> None:
        """Called from beside the loop: if a pulse is overdue, note what the loop does."""
        is_overdue = self._is_watching and time.process_time() - self._pulse_at > MOST_SECONDS / 2
        if is_overdue and (frame := sys._current_frames().get(thread)):
            self._stacks.append("".join(traceback.format_stack(frame, limit=12)))


_paces: list[float] = []


def _slowness() -> float:
    """How much longer a piece of work takes now than it took at best in this process: from 1, at most 1.5."""
    began = time.thread_time()
    sum(number * number for number in range(_PACE_STEPS))
    _paces[:] = [min((*_paces, pace := time.thread_time() - began))]
    return min(max(1.0, pace / _paces[0]), _MOST_SLOWNESS)


@asynccontextmanager
async def watched_loop(watchdog: LoopWatchdog | None = None) -> AsyncIterator[LoopWatchdog]:
    """Watches the running loop between `begin` and `end`."""
    watchdog = watchdog or LoopWatchdog()
    ended, thread = threading.Event(), threading.get_ident()

    async def pulse() -> None:
        while True:
            await asyncio.sleep(_PULSE_SECONDS)
            watchdog.beat()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            watchdog.look(thread)

    pulsing, looking = asyncio.create_task(pulse()), threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield watchdog
    finally:
        pulsing.cancel()
        ended.set()
        await asyncio.to_thread(looking.join)
