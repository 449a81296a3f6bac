"""A broker's status in the making: the vocabulary of the rules in `broker_outcomes.py`. Pure, makes one result."""

from datetime import datetime, timedelta
from typing import Any

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.conditions import (
    ConditionStatus,
    ConditionType,
    is_true,
    last_condition_state,
    with_condition,
    without_condition,
)
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.reasons import BrokerReason, InstanceReason
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.reconcile_result import (
    ReconcileResult,
    Requeue,
    circuit_key,
    instances_key,
    relist_key,
)
from chandlery.retry.schedule import DEPENDENCIES, Schedule
from chandlery_syncer.absorb import broker_remedies as advice
from chandlery_syncer.facts.broker_notes import Leftovers
from chandlery_syncer.facts.broker_snapshot import BrokerSnapshot

BrokerResult = ReconcileResult[AnyBroker]

LONGEST_PAUSE = timedelta(minutes=5)
FETCHES = Schedule(maximum=LONGEST_PAUSE, jitter=0.1)
"""After a catalog that was not had, unless the broker's retryPolicy says otherwise. A broker that comes back is to be
seen soon, and asking costs it little."""

LARGE_CATALOGS = Schedule(initial=timedelta(minutes=1), maximum=timedelta(hours=6), jitter=0.1)
"""After a catalog that is too large: fetching it costs both sides, and it does not shrink by itself."""


class BrokerDraft:
    """Collects what changes; `rest`, `again`, `wait` and `gone` make the result of it."""

    def __init__(self, snapshot: BrokerSnapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._now = now
        self._facts: list[RecordedFact] = []
        self._wakes: list[str] = []
        self.status = snapshot.broker.status
        self.memory = snapshot.memory

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def remember(self, **fields: Any) -> None:
        """Change the syncer's notes."""
        self.memory = self.memory.model_copy(update=fields)

    def say(self, reason: str, message: str, *, is_warning: bool = False) -> None:
        """Record an event."""
        self._facts.append(RecordedFact(reason, message, is_warning))

    def ready(self, status: ConditionStatus, reason: BrokerReason, message: str, *, fact: str | None = None) -> None:
        """Set the Ready condition, and record an event (under its own reason) unless the condition said so already."""
        before = {(condition.reason, condition.message) for condition in self._snapshot.broker.status.conditions}
        if (str(reason), message) not in before:
            self.say(fact or reason, message, is_warning=status != ConditionStatus.TRUE)
        self.set(observed_generation=self._snapshot.generation)
        self._condition(ConditionType.READY, status, reason, message)

    def succeed(self, reason: BrokerReason, message: str, *, is_relist: bool) -> None:
        """The catalog is what the specification asks for."""
        if self._snapshot.is_declared_anew:
            self._wakes.append(circuit_key(self._snapshot.lane))
        self.ready(ConditionStatus.TRUE, reason, message)
        self._drop_failed()
        self.set(
            reconciled_generation=self._snapshot.generation,
            last_catalog_retrieval_time=self._now,
            operation_start_time=None,
            attempts=None,
            next_attempt_time=None,
        )
        self.remember(tried_generation=self._snapshot.generation, retry_seen=self._snapshot.requested_actions.retry)
        if is_relist:
            self.remember(relist_asked=False, relisted_at=self._now.timestamp())

    def fail(self, reason: BrokerReason, message: str, *, fact: str | None = None, is_repeated: bool = False) -> None:
        """The catalog was not had. After the operation's time that counts as failed, and is tried all the same.

        `is_repeated`: each time is an event of its own, which is counted at the first one.
        """
        recorded = len(self._facts)
        self.ready(ConditionStatus.FALSE, reason, message, fact=fact)
        if is_repeated and len(self._facts) == recorded:
            self.say(fact or reason, message, is_warning=True)
        generation = self._snapshot.generation
        if self.memory.tried_generation != generation or self._snapshot.is_retry_asked:
            self._drop_failed()
            self.set(operation_start_time=None)
        self.remember(tried_generation=generation, retry_seen=self._snapshot.requested_actions.retry)
        since = self.status.operation_start_time or self._now
        self.set(operation_start_time=since)
        if self._now - since > self._snapshot.policy.give_up_after:
            self._give_up(message)

    def rest(self, leftovers: Leftovers) -> BrokerResult:
        """Nothing to do before the next fetch, before a leftover is given up, or before somebody asks for it."""
        self.remember(leftovers=leftovers)
        waiting_for = instances_key(self._snapshot.lane) if leftovers else None
        if self._is_deleted:
            return self._result(Requeue(waiting_for=waiting_for, interests=()))
        interests = (relist_key(self._snapshot.lane),)
        return self._result(Requeue(due_at=self._relist_at(), waiting_for=waiting_for, interests=interests))

    def again(
        self, *, asked: timedelta = timedelta(0), waiting_for: tuple[str, ...] = (), schedule: Schedule | None = None
    ) -> BrokerResult:
        """Try once more, by this schedule or the broker's own; `asked` is the pause that the broker asks for.

        What finds the catalog out of date has to wait like everybody: it must not undo the back-off.
        """
        attempt = self._snapshot.attempt + 1
        if schedule is None:
            schedule = FETCHES if self._snapshot.broker.spec.retry_policy is None else self._snapshot.policy.retries
        pause = max(schedule.delay(attempt), min(asked, max(schedule.maximum, LONGEST_PAUSE)))
        due_at = self._now + pause
        self.set(attempts=attempt, next_attempt_time=due_at)
        first, others = waiting_for[0] if waiting_for else None, waiting_for[1:]
        return self._result(Requeue(due_at=due_at, attempt=attempt, waiting_for=first, interests=others))

    def wait(self, waiting_for: str | None) -> BrokerResult:
        """Come back when woken, or after a while all the same."""
        attempt = self._snapshot.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        self.set(attempts=None, next_attempt_time=None)
        return self._result(Requeue(due_at=due_at, attempt=attempt, waiting_for=waiting_for, interests=()))

    def gone(self, reason: BrokerReason, message: str) -> BrokerResult:
        """The finalizer goes, and with it the object."""
        self.say(reason, message)
        return self._result(Requeue(interests=()), is_finished=True)

    def _relist_at(self) -> datetime | None:
        last, interval = self.status.last_catalog_retrieval_time, self._snapshot.interval
        if last is None:
            return None
        if self.memory.relist_asked:
            return self._snapshot.may_relist_at
        return last + interval if interval else None

    @property
    def _is_deleted(self) -> bool:
        return self._snapshot.broker.metadata.deletion_timestamp is not None

    def _give_up(self, message: str) -> None:
        late = f"No valid catalog could be fetched for too long. Fetching continues; the last failure was: {message}"
        reason = InstanceReason.RETRY_TIMEOUT
        if not is_true(self.status.conditions, ConditionType.FAILED):
            self.say(reason, late, is_warning=True)
        self._condition(ConditionType.FAILED, ConditionStatus.TRUE, reason, late)
        self.set(reconciled_generation=self._snapshot.generation)

    def _condition(self, kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        conditions = with_condition(
            self.status.conditions, kind, status=status, reason=str(reason), message=message, now=self._now
        )
        self.set(conditions=conditions)

    def _show_circuit(self) -> None:
        if not self._snapshot.is_circuit_news:
            return
        circuit = self._snapshot.circuit
        if circuit is None:
            reason, message = BrokerReason.CIRCUIT_CLOSED, "Calls to the broker have resumed"
            self.say(reason, message)
            self._condition(ConditionType.CIRCUIT_OPEN, ConditionStatus.FALSE, reason, message)
            return
        reason, message = BrokerReason.CIRCUIT_OPENED, advice.left_alone(self._snapshot.broker, circuit.message)
        self.say(reason, message, is_warning=True)
        self._condition(ConditionType.CIRCUIT_OPEN, ConditionStatus.TRUE, reason, message)

    def _drop_failed(self) -> None:
        self.set(conditions=without_condition(self.status.conditions, ConditionType.FAILED))

    def _result(self, following: Requeue, *, is_finished: bool = False) -> BrokerResult:
        broker = self._snapshot.broker
        self._show_circuit()
        self.remember(revision_seen=self._snapshot.revision)
        status = self.status.model_copy(update={"last_condition_state": last_condition_state(self.status.conditions)})
        document = broker.model_copy(update={"status": status})
        if is_finished:
            left = [name for name in broker.metadata.finalizers or [] if name != FINALIZER]
            metadata = broker.metadata.model_copy(update={"finalizers": left or None})
            document = document.model_copy(update={"metadata": metadata})
        return ReconcileResult(
            document=document,
            next=following,
            memory=self.memory.to_wire(),
            facts=tuple(self._facts),
            wakes=tuple(self._wakes),
            is_finished=is_finished,
        )
