"""Counts the calls to service brokers: how long each took and what it came to, and how many are under way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from chandlery.osb.faults import AnswerLate, AnswerLost, Misconfigured, NothingSent
from chandlery.reconcile.answers import Answer, Verb
from chandlery.telemetry.catalog.broker_calls import (
    BROKER_CALL_SECONDS,
    BROKER_CALLS_UNDER_WAY,
    OLDEST_CALL_SECONDS,
)
from chandlery.telemetry.current_trace import sampled_trace_id
from chandlery.telemetry.metrics import Metrics, Sample


class NoStatus(StrEnum):
    """Why a call has no HTTP status."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    """None came about, or it broke."""
    REFUSED = "refused"
    """By us: the egress rules forbid it, or the broker cannot be called as it is declared."""


_CLASSES = {number: f"{number}xx" for number in range(1, 6)}


@dataclass
class CountedCall:
    """A call, and what it has come to so far."""

    sent_at: float = field(default_factory=time.monotonic)
    """When it began, or had a token for the broker. A token endpoint takes as long as whoever runs it likes."""
    why: NoStatus = NoStatus.CONNECTION
    """Counts if there is no status."""
    answer: Answer | None = None

    def failed(self, fault: NothingSent | AnswerLost) -> None:
        """There is no answer."""
        if isinstance(fault, AnswerLate):
            self.why = NoStatus.TIMEOUT
        elif isinstance(fault, Misconfigured):
            self.why = NoStatus.REFUSED

    @property
    def status(self) -> str:
        """The class of the HTTP status, or why there is none."""
        status = self.answer.status if self.answer is not None else None
        return self.why if status is None else _CLASSES.get(status // 100, str(status))


class CallCounting:
    """The calls of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._under_way: dict[str, dict[int, float]] = {}
        """By service broker: when each call began, the oldest first."""
        metrics.collect(OLDEST_CALL_SECONDS, self._oldest)

    @contextmanager
    def counted(self, broker: str, verb: Verb) -> Iterator[CountedCall]:
        """Around a call. One that is cut off, because its lease or the process ends, counts as under way until then."""
        call = CountedCall()
        calls = self._under_way.setdefault(broker, {})
        calls[id(call)] = call.sent_at
        self._metrics.set(BROKER_CALLS_UNDER_WAY, broker, value=len(calls))
        try:
            yield call
            seconds = time.monotonic() - call.sent_at
            self._metrics.observe(
                BROKER_CALL_SECONDS, broker, verb, call.status, value=seconds, trace_id=sampled_trace_id()
            )
        finally:
            del calls[id(call)]
            self._metrics.set(BROKER_CALLS_UNDER_WAY, broker, value=len(calls))
            if not calls:
                self._under_way.pop(broker, None)

    def _oldest(self) -> Iterator[Sample]:
        now = time.monotonic()
        return (Sample((broker,), now - next(iter(calls.values()))) for broker, calls in self._under_way.items())
