"""What the metrics tell of watches: how many are open, what they are sent, how far they are behind the database.

`watch_hub` has one of each, `watch_stream` counts in it; a scrape looks at what is in memory.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from chandlery.store.database import UnitOfWork
from chandlery.telemetry.catalog.api_requests import (
    CHANGE_LOG_LAG_SECONDS,
    WATCH_EVENTS,
    WATCH_HUB_TURN_AGE_SECONDS,
    WATCHES,
)
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample

_MEASURED_EVERY_SECONDS: Final = 5.0


class WatchCounts:
    """The watches of one gateway, by resource."""

    def __init__(self, metrics: Metrics) -> None:
        self.open: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        metrics.collect(WATCHES, lambda: _by_route(self.open))
        metrics.collect(WATCH_EVENTS, lambda: _by_route(self.events))


class ChangeLogLag:
    """How long the oldest change waits that no watch has been told of.

    While a transaction goes on for long, changes that are committed after it began lie beyond the horizon. Only a
    statement of its own sees them, every few seconds and unless nobody wants to know.
    """

    def __init__(self, metrics: Metrics, *, last_look: Callable[[], float | None]) -> None:
        """`last_look` is when the log was last read, in the loop's time."""
        self._is_wanted = metrics is not NO_METRICS
        self._last_look = last_look
        self._measured_at = 0.0
        self._waiting: tuple[int, datetime] | None = None
        metrics.collect(CHANGE_LOG_LAG_SECONDS, self._lag)
        metrics.collect(WATCH_HUB_TURN_AGE_SECONDS, self._turn_age)

    async def measure(self, unit: UnitOfWork, *, after: int) -> None:
        """Look, if it is time again, for the next change after those that are being handed on."""
        now = time.monotonic()
        if self._is_wanted and now - self._measured_at >= _MEASURED_EVERY_SECONDS:
            self._measured_at = now
            self._waiting = await unit.changes.first_after(after)

    def passed(self, position: int) -> None:
        """Watches have been told of everything up to there."""
        if self._waiting is not None and self._waiting[0] <= position:
            self._waiting = None

    def _lag(self) -> Iterator[Sample]:
        waiting = self._waiting
        since = 0.0 if waiting is None else (datetime.now(UTC) - waiting[1]).total_seconds()
        yield Sample((), max(0.0, since))

    def _turn_age(self) -> Iterator[Sample]:
        last = self._last_look()
        if last is not None:
            yield Sample((), asyncio.get_running_loop().time() - last)


def _by_route(counts: Counter[str]) -> Iterator[Sample]:
    return (Sample((route,), count) for route, count in counts.items())
