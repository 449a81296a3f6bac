"""Between requests and a sink: events gather for a moment and are written together; no request pays for a write.

Comes in: an entry for each stage of a request, of all requests of this process.
Goes out: batches, to the sink; to whoever waits for it, the news that an entry is written or cannot be.
Called by: `audit_trail`; one of these for each sink, so that one that hangs keeps no other waiting.

What waits is bounded in bytes. While a sink fails, its entries are kept and tried again until there is no more room;
what comes then is lost, counted, and told in the log. If the process dies, what waited is lost: about a second's worth.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from chandlery.model.faults import Unavailable
from chandlery.process.logs.tally import Tally
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery_gateway.identity.audit.sinks.audit_sink import AuditSink, SinkFailed

_PAUSE_SECONDS: Final = 0.5
_AFTER_FAILURE_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 10.0
"""How long a request waits for its entry to be written, if it has to."""
_LAST_SECONDS: Final = 5.0
_MOST_BYTES: Final = 16 << 20
_BATCH: Final = 500

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class SinkCounts:
    """What has become of entries since the process began, for logs and metrics."""

    written: int = 0
    lost: int = 0
    failures: int = 0
    """Batches that could not be written; they may have been later."""


class BatchedSink:
    """The entries that wait for one sink."""

    def __init__(
        self, sink: AuditSink, *, most_bytes: int = _MOST_BYTES, pause: float = _PAUSE_SECONDS, batch: int = _BATCH
    ) -> None:
        """At most `most_bytes` wait; `pause` is for how long entries gather that nobody waits for, in seconds."""
        self._sink = sink
        self._most_bytes = most_bytes
        self._pause = pause
        self._batch = batch
        self._limit = batch
        """How many are written together now: fewer after one that cannot be written, to find it."""
        self._waiting: deque[tuple[AuditEntry, asyncio.Future[None] | None]] = deque()
        self._bytes = 0
        self._has_some = asyncio.Event()
        self._is_urgent = asyncio.Event()
        self._is_failing = False
        self._lost = Tally(self._say_what_is_lost)
        self.counts = SinkCounts()
        self.name = sink.name

    def put(self, entry: AuditEntry) -> None:
        """Have this written soon. It is lost if there is no room for it."""
        if self._bytes + entry.size > self._most_bytes:
            self._lose(1)
            return
        self._add(entry, None)

    async def put_durably(self, entry: AuditEntry) -> None:
        """Have this written, and wait until it is. Raises Unavailable if it cannot be, for now."""
        if self._bytes + entry.size > self._most_bytes:
            raise Unavailable(self._sentence)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(entry, written)
        self._is_urgent.set()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await written
        except (TimeoutError, SinkFailed):
            raise Unavailable(self._sentence) from None

    async def run(self) -> None:
        """Write what comes, for ever; ends by cancellation, after which `close` has the last word."""
        while True:
            await self._has_some.wait()
            if not self._is_urgent.is_set() and len(self._waiting) < self._batch:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._is_urgent.wait()
            if not await self._write_batch():
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    async def close(self) -> None:
        """Write what is left, as far as that can be done in a few seconds. Nothing may come any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                while self._waiting and await self._write_batch():
                    pass
        if self._waiting:
            self.counts.lost += len(self._waiting)
            self._say_what_is_lost("", len(self._waiting))

    @property
    def _sentence(self) -> str:
        return f"the audit log cannot be written ({self._sink.place}), so the request is not carried out; try again"

    def _add(self, entry: AuditEntry, written: "asyncio.Future[None] | None") -> None:
        self._waiting.append((entry, written))
        self._bytes += entry.size
        if len(self._waiting) == 1:
            self._has_some.set()
        elif len(self._waiting) >= self._batch and not self._is_failing:
            self._is_urgent.set()

    async def _write_batch(self) -> bool:
        self._is_urgent.clear()
        batch = list(islice(self._waiting, self._limit))
        try:
            await self._sink.write([entry for entry, _ in batch])
        except SinkFailed as fault:
            self._failed(fault, batch)
            return False
        except Exception as error:  # noqa: BLE001 - one entry that cannot be written must not end the log
            if len(batch) > 1:
                self._limit = 1
                return True
            self._lose_first(error)
            return True
        for entry, written in batch:
            self._waiting.popleft()
            self._bytes -= entry.size
            if written is not None and not written.done():
                written.set_result(None)
        self._succeeded(len(batch))
        return True

    def _lose_first(self, error: Exception) -> None:
        entry, written = self._waiting.popleft()
        self._bytes -= entry.size
        if written is not None and not written.done():
            written.set_exception(SinkFailed())
        # Without the message, which may quote what was to be written.
        log.error(f"an event cannot be written to the audit log: {type(error).__name__}", action="write_audit_log")
        self._lose(1)
        self._go_on()

    def _succeeded(self, written: int) -> None:
        self.counts.written += written
        if self._is_failing:
            self._is_failing = False
            log.info(f"the audit log can be written again ({self._sink.place})", action="write_audit_log")
        self._go_on()

    def _go_on(self) -> None:
        # One that has failed alone is behind us as soon as as many as a batch have gone well.
        self._limit = min(self._batch, self._limit * 2)
        if not self._waiting:
            self._has_some.clear()
        elif len(self._waiting) >= self._limit or self._has_somebody_waiting():
            self._is_urgent.set()

    def _has_somebody_waiting(self) -> bool:
        return any(written is not None and not written.done() for _, written in self._waiting)

    def _failed(self, fault: SinkFailed, batch: Sequence[tuple[AuditEntry, "asyncio.Future[None] | None"]]) -> None:
        self.counts.failures += 1
        for _, written in batch:
            if written is not None and not written.done():
                written.set_exception(fault)
        if not self._is_failing:
            self._is_failing = True
            message = f"the audit log cannot be written and is tried again ({self._sink.place}): {fault.message}"
            log.error(message, action="write_audit_log")

    def _lose(self, count: int) -> None:
        self.counts.lost += count
        self._lost.add()

    def _say_what_is_lost(self, _key: str, count: int) -> None:
        log.error(
            f"the audit log is incomplete ({self._sink.place}): {count} events are lost, {self.counts.lost} in total",
            action="write_audit_log",
            lost=self.counts.lost,
        )
