"""The circuits of one process, one for each lane, and what has become of them since the database was told.

The workers' loop asks before each call and tells what came of it; `circuit_sync.py` tells the database. Nothing here
waits for anything.
"""

import asyncio
from dataclasses import replace
from datetime import datetime

import structlog

from chandlery.reconcile.answers import Answer
from chandlery.reconcile.operation.deferral import is_failure, is_sign_of_life
from chandlery.reconcile.reconcile_result import broker_label
from chandlery.retry.circuit import Circuit, CircuitPolicy, CircuitState, Permit
from chandlery.telemetry.catalog.broker_calls import CIRCUIT_OPEN, CIRCUIT_OPENINGS
from chandlery.telemetry.metrics import NO_METRICS, Metrics

log = structlog.get_logger(__name__)


class CircuitBreakers:
    """Shared by all workers of a process."""

    def __init__(self, metrics: Metrics = NO_METRICS) -> None:
        self._metrics = metrics
        self._circuits: dict[str, Circuit] = {}
        self._news: set[str] = set()
        self.changed = asyncio.Event()
        """Set when there is news, for whoever keeps the database informed."""

    def states(self, now: datetime) -> dict[str, CircuitState]:
        """The state of every lane that has failed a call since it last answered one."""
        return {lane: circuit.state(now) for lane, circuit in self._circuits.items()}

    def open_circuits(self) -> dict[str, Circuit]:
        """Those that hold back calls, by lane."""
        return {lane: circuit for lane, circuit in self._circuits.items() if circuit.is_open}

    def blocking(self, lane: str, policy: CircuitPolicy, now: datetime) -> Circuit | None:
        """The circuit that keeps a call from being made now, if one does. Changes nothing."""
        circuit = self._circuits.get(lane)
        if circuit is None or circuit.policy.revision != policy.revision:
            return None
        return circuit if circuit.permit(now) == Permit.WAIT else None

    def begin(self, lane: str, policy: CircuitPolicy, now: datetime) -> Permit:
        """A call is about to be made: may it? Whoever is let through tells how it `ended`."""
        circuit = self._current(lane, policy)
        if circuit is None:
            return Permit.CALL
        permit = circuit.permit(now)
        if permit == Permit.PROBE:
            self._circuits[lane] = circuit.probed(now)
        return permit

    def ended(
        self, lane: str, policy: CircuitPolicy, about: str, *, answer: Answer | None, is_probe: bool, now: datetime
    ) -> None:
        """What came of a call about this object, by now; None if nobody knows."""
        circuit = self._current(lane, policy)
        if answer is not None and is_failure(answer):
            begun = circuit or Circuit(policy=policy)
            self._keep(lane, begun.failed(now, about, why=answer.sentence, is_probe=is_probe))
        elif circuit is not None and answer is not None and is_sign_of_life(answer):
            self._drop(lane)
        elif circuit is not None and is_probe:
            self._circuits[lane] = circuit.unprobed()

    def hasten(self, lane: str, now: datetime) -> None:
        """Another process was answered: have this one try too."""
        if (circuit := self._circuits.get(lane)) is not None:
            self._circuits[lane] = circuit.hastened(now)

    def take_news(self) -> set[str]:
        """The lanes whose circuit opened, opened again or closed since this was last asked."""
        news, self._news = self._news, set()
        self.changed.clear()
        return news

    def put_back(self, news: set[str]) -> None:
        """The database could not be told of these."""
        self._news |= news
        self.changed.set()

    def forget(self, lane: str) -> None:
        """Nobody wants anything of the service broker: what was known of it grows old."""
        if lane in self._circuits:
            self._drop(lane)

    def _current(self, lane: str, policy: CircuitPolicy) -> Circuit | None:
        circuit = self._circuits.get(lane)
        if circuit is None or circuit.policy == policy:
            return circuit
        if circuit.policy.revision != policy.revision or policy.failures <= 0:
            # The broker is declared anew, or somebody wants it tried: what was known of it says nothing any more.
            self._drop(lane)
            return None
        self._circuits[lane] = replace(circuit, policy=policy)
        return self._circuits[lane]

    def _keep(self, lane: str, circuit: Circuit) -> None:
        before = self._circuits.get(lane)
        self._circuits[lane] = circuit
        if circuit.is_open and (before is None or before.retry_at != circuit.retry_at):
            log.warning(
                f"{circuit.failures} calls in a row have failed; the next one is made at {circuit.retry_at:%H:%M:%S}Z",
                action="open_circuit",
                lane=lane,
            )
            if before is None or not before.is_open:
                self._metrics.count(CIRCUIT_OPENINGS, broker_label(lane))
            self._metrics.set(CIRCUIT_OPEN, broker_label(lane), value=1)
            self._tell(lane)

    def _drop(self, lane: str) -> None:
        circuit = self._circuits.pop(lane)
        if circuit.is_open:
            log.info("calls to the service broker have resumed", action="close_circuit", lane=lane)
            self._metrics.set(CIRCUIT_OPEN, broker_label(lane), value=0)
            self._tell(lane)

    def _tell(self, lane: str) -> None:
        self._news.add(lane)
        self.changed.set()
