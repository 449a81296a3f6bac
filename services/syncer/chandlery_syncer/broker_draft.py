"""A broker's status in the making: the vocabulary of the rules in `broker_outcomes.py`. Pure, used for one change."""

from datetime import datetime, timedelta
from typing import Any

from chandlery.model.brokers import AnyBroker
from chandlery.model.conditions import (
    ConditionStatus,
    ConditionType,
    is_true,
    last_condition_state,
    with_condition,
    without_condition,
)
from chandlery.model.names import FINALIZER
from chandlery.model.reasons import BrokerReason, InstanceReason
from chandlery.model.recorded import RecordedFact
from chandlery.reconcile.change import Change, Next, broker_key, instances_key
from chandlery.retry.schedule import DEPENDENCIES, Schedule
from chandlery_syncer.broker_snapshot import BrokerSnapshot, Leftovers

BrokerChange = Change[AnyBroker]

LONGEST_PAUSE = timedelta(minutes=5)
FETCHES = Schedule(maximum=LONGEST_PAUSE, jitter=0.1)
"""After a catalog that was not had. A broker that comes back is to be seen soon, and asking costs it little."""


class BrokerDraft:
    """Collects what changes; `rest`, `again`, `wait` and `gone` make the change."""

    def __init__(self, snapshot: BrokerSnapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._now = now
        self._facts: list[RecordedFact] = []
        self.status = snapshot.broker.status
        self.memory = snapshot.memory

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def remember(self, **fields: Any) -> None:
        """Change the syncer's notes."""
        self.memory = self.memory.model_copy(update=fields)

    def ready(self, status: ConditionStatus, reason: BrokerReason, message: str, *, fact: str | None = None) -> None:
        """Set the Ready condition, and record an event (under its own reason) unless the condition said so already."""
        before = {(condition.reason, condition.message) for condition in self._snapshot.broker.status.conditions}
        if (str(reason), message) not in before:
            is_warning = status != ConditionStatus.TRUE
            self._facts.append(RecordedFact(fact or reason, message, is_warning))
        self._condition(ConditionType.READY, status, reason, message)

    def succeed(self, reason: BrokerReason, message: str) -> None:
        """The catalog is what the specification asks for."""
        self.ready(ConditionStatus.TRUE, reason, message)
        self._drop_failed()
        self.set(
            reconciled_generation=self._snapshot.generation,
            last_catalog_retrieval_time=self._now,
            operation_start_time=None,
        )

    def fail(self, reason: BrokerReason, message: str, *, fact: str | None = None) -> None:
        """The catalog was not had. After the operation's time that counts as failed, and is tried all the same."""
        self.ready(ConditionStatus.FALSE, reason, message, fact=fact)
        generation = self._snapshot.generation
        if self.memory.tried_generation != generation:
            self._drop_failed()
            self.set(operation_start_time=None)
        self.remember(tried_generation=generation)
        since = self.status.operation_start_time or self._now
        self.set(operation_start_time=since)
        if self._now - since > self._snapshot.operation_timeout:
            self._give_up(message)

    def rest(self, leftovers: Leftovers) -> BrokerChange:
        """Nothing to do before the next fetch, or before an instance of a leftover plan goes."""
        self.remember(leftovers=leftovers)
        last = self.status.last_catalog_retrieval_time
        interval = self._snapshot.interval
        due_at = last + interval if last and interval and not self._is_deleted else None
        waiting_for = instances_key(self._snapshot.lane) if leftovers else None
        return self._change(Next(due_at=due_at, waiting_for=waiting_for))

    def again(self, *, asked: timedelta = timedelta(0), waiting_for: str | None = None) -> BrokerChange:
        """Try once more, by schedule; `asked` is the broker's own wish for a pause."""
        attempt = self._snapshot.attempt + 1
        pause = max(FETCHES.delay(attempt), min(asked, LONGEST_PAUSE))
        return self._change(Next(due_at=self._now + pause, attempt=attempt, waiting_for=waiting_for))

    def wait(self, waiting_for: str | None) -> BrokerChange:
        """Come back when woken, or after a while all the same."""
        attempt = self._snapshot.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._change(Next(due_at=due_at, attempt=attempt, waiting_for=waiting_for))

    def gone(self, reason: BrokerReason, message: str) -> BrokerChange:
        """The finalizer goes, and with it the object; its namespace may be waiting for that."""
        self._facts.append(RecordedFact(reason, message))
        meta = self._snapshot.broker.metadata
        return self._change(Next(), wakes=(broker_key(meta.namespace, meta.name),), is_finished=True)

    @property
    def _is_deleted(self) -> bool:
        return self._snapshot.broker.metadata.deletion_timestamp is not None

    def _give_up(self, message: str) -> None:
        late = f"No good catalog for too long; it is still tried, and the last failure was: {message}"
        reason = InstanceReason.RETRY_TIMEOUT
        if not is_true(self.status.conditions, ConditionType.FAILED):
            self._facts.append(RecordedFact(reason, late, is_warning=True))
        self._condition(ConditionType.FAILED, ConditionStatus.TRUE, reason, late)
        self.set(reconciled_generation=self._snapshot.generation)

    def _condition(self, kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        conditions = with_condition(
            self.status.conditions, kind, status=status, reason=str(reason), message=message, now=self._now
        )
        self.set(conditions=conditions)

    def _drop_failed(self) -> None:
        self.set(conditions=without_condition(self.status.conditions, ConditionType.FAILED))

    def _change(self, following: Next, *, wakes: tuple[str, ...] = (), is_finished: bool = False) -> BrokerChange:
        broker = self._snapshot.broker
        status = self.status.model_copy(update={"last_condition_state": last_condition_state(self.status.conditions)})
        document = broker.model_copy(update={"status": status})
        if is_finished:
            left = [name for name in broker.metadata.finalizers or [] if name != FINALIZER]
            metadata = broker.metadata.model_copy(update={"finalizers": left or None})
            document = document.model_copy(update={"metadata": metadata})
        return Change(
            document=document,
            next=following,
            memory=self.memory.to_wire(),
            facts=tuple(self._facts),
            wakes=wakes,
            is_finished=is_finished,
        )
