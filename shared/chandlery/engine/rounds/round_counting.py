"""Counts the rounds of a loop: what was decided, what came of it, how long it took, how long users have waited.

All of it at one place, once a round is over: what happens in a transaction may happen again in the next one.
"""

import asyncio
import time
from typing import Any, Final, Self

from opentelemetry.trace import get_current_span

from chandlery.engine.rounds.claimed_round import DecidedRound, RecordedRound, UndecidedRound
from chandlery.engine.rounds.round_report import UNDECIDED, Outcome, RoundReport
from chandlery.engine.rounds.round_trace import note_report
from chandlery.model.faults import Conflict, LeaseLost, Unavailable
from chandlery.reconcile.reconcile_result import broker_label
from chandlery.telemetry.catalog.broker_calls import CALLS_DEFERRED
from chandlery.telemetry.catalog.work import (
    LEASES_LOST,
    ORPHAN_MITIGATIONS,
    READY_SECONDS,
    ROTATIONS,
    ROUND_SECONDS,
    ROUNDS,
)
from chandlery.telemetry.current_trace import sampled_trace_id
from chandlery.telemetry.metrics import Metrics

_WHAT_ENDED_IT: Final[tuple[tuple[type[BaseException], Outcome], ...]] = (
    (LeaseLost, Outcome.LEASE_LOST),
    (Conflict, Outcome.GIVEN_BACK),
    (Unavailable, Outcome.GIVEN_BACK),
    (asyncio.CancelledError, Outcome.GIVEN_BACK),
)


class CountedRound:
    """One round, or a command that finds nothing due, which is none."""

    def __init__(self, metrics: Metrics, kind: str) -> None:
        self._metrics = metrics
        self._kind = kind
        self._action = UNDECIDED
        self._is_claimed = False
        self._recorded: RecordedRound | None = None
        self._began = time.perf_counter()

    def claimed(self, claimed: "UndecidedRound | DecidedRound[Any, Any]") -> None:
        """There is something to do; and what that is, once it is decided."""
        self._is_claimed = True
        if isinstance(claimed, DecidedRound):
            self._action = claimed.planned.action

    def recorded(self, recorded: RecordedRound) -> None:
        """It is committed."""
        self._recorded = recorded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        report = self._recorded.report if self._recorded is not None else None
        if error is None and report is not None:
            self._tell(report)
        elif error is not None and (self._is_claimed or not isinstance(error, Conflict | Unavailable)):
            outcome = next((each for kind, each in _WHAT_ENDED_IT if isinstance(error, kind)), Outcome.ERROR)
            self._tell(RoundReport(action=self._action, outcome=outcome))

    def _tell(self, report: RoundReport) -> None:
        note_report(get_current_span(), report)
        metrics, kind, broker = self._metrics, self._kind, broker_label(report.lane)
        metrics.count(ROUNDS, kind, report.action, report.outcome)
        seconds = time.perf_counter() - self._began
        metrics.observe(ROUND_SECONDS, kind, value=seconds, trace_id=sampled_trace_id())
        if report.outcome == Outcome.LEASE_LOST:
            metrics.count(LEASES_LOST, kind)
        if report.deferred_by is not None:
            metrics.count(CALLS_DEFERRED, broker, report.deferred_by)
        if report.mitigation is not None:
            metrics.count(ORPHAN_MITIGATIONS, kind, broker, report.mitigation)
        if report.rotation is not None:
            metrics.count(ROTATIONS, broker, report.rotation)
        if self._recorded is not None and (waited := self._recorded.ready_after) is not None:
            metrics.observe(READY_SECONDS, kind, broker, value=waited, trace_id=sampled_trace_id())
