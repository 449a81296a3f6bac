"""A binding's status in the making: the vocabulary in which `binding_outcomes.py` writes its rules. Pure."""

from datetime import UTC, datetime, timedelta

from chandlery.model.bindings import ServiceBinding, ServiceBindingStatus
from chandlery.model.conditions import ConditionStatus, ConditionType, last_condition_state
from chandlery.model.names import FINALIZER
from chandlery.model.reasons import BindingReason
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import Change, Next, bindings_key
from chandlery.reconcile.offering import Offering
from chandlery.reconcile.status_draft import StatusDraft
from chandlery.retry.schedule import BROKER_CALLS, DEPENDENCIES, POLLS
from chandlery_binder.binding_notes import BindingMemory, InFlight, Purpose
from chandlery_binder.binding_snapshot import BindingSnapshot

BindingChange = Change[ServiceBinding]
_OPERATIONS = {Purpose.BIND: "Bind", Purpose.UNBIND: "Unbind"}


class BindingDraft(StatusDraft[ServiceBindingStatus, BindingMemory]):
    """Collects what changes; `rest`, `again`, `retry_after`, `wait` and `gone` make the change."""

    def __init__(self, snapshot: BindingSnapshot, now: datetime) -> None:
        super().__init__(snapshot.binding.status, snapshot.memory, attempt=snapshot.attempt, now=now)
        self._snapshot = snapshot
        self.is_interrupting = False
        self.keep_in_flight: JsonObject | None = None

    @classmethod
    def begin(cls, snapshot: BindingSnapshot, sent: InFlight, now: datetime) -> "BindingDraft":
        """A draft for the answer to a request: the status says that the operation has begun."""
        draft = cls(snapshot, now)
        operation = _OPERATIONS.get(sent.purpose)
        if operation is None:
            return draft
        draft.is_interrupting = operation == "Unbind" and draft.status.async_op_in_progress
        if draft.is_interrupting:
            draft.end_poll()
        if draft.status.current_operation != operation:
            draft.set(current_operation=operation, operation_start_time=datetime.fromtimestamp(sent.started_at, UTC))
        if sent.purpose == Purpose.BIND:
            draft.set(in_progress_properties=sent.properties)
            draft.remember(placement=sent.placement, is_fetch_due=False, fetches=0)
        draft.set(unbind_status="Required")
        return draft

    @property
    def is_deleted(self) -> bool:
        """Whether a user wants the binding gone."""
        return self._snapshot.is_deleted

    @property
    def is_time_over(self) -> bool:
        """Whether the operation has failed for as long as it may."""
        start = self.status.operation_start_time
        return start is not None and self._now - start > self._snapshot.operation_timeout

    @property
    def is_poll_time_over(self) -> bool:
        """Whether polling has to stop (OSB v2.17, "Polling Interval and Duration")."""
        return self.memory.poll_until is not None and self._now.timestamp() >= self.memory.poll_until

    @property
    def is_unbinding(self) -> bool:
        """Whether what the broker works on, or is asked for, is an unbind."""
        return self.status.current_operation == "Unbind" or self.status.orphan_mitigation_in_progress

    def begin_poll(self, operation: str | None) -> None:
        """The broker has accepted and works on it."""
        seconds = self._snapshot.operation_timeout.total_seconds()
        offering = self._snapshot.offering
        if isinstance(offering, Offering) and offering.plan.spec.maximum_polling_duration:
            seconds = min(seconds, offering.plan.spec.maximum_polling_duration)
        self.set(async_op_in_progress=True, last_operation=operation)
        self.remember(polls=1, poll_until=self._now.timestamp() + seconds)

    def end_poll(self) -> None:
        """The broker has come to an end."""
        self.set(async_op_in_progress=False, last_operation=None)
        self.remember(polls=0, poll_until=None)

    def end_operation(self) -> None:
        """Nothing is being done any more."""
        self.end_poll()
        self.remember(is_fetch_due=False, fetches=0, unbind_deferred=False)
        self.set(current_operation=None, operation_start_time=None, in_progress_properties=None)

    def succeed(self, message: str) -> None:
        """The Secret holds the credentials."""
        self.set(
            external_properties=self.status.in_progress_properties or self.status.external_properties,
            reconciled_generation=self._snapshot.binding.metadata.generation or 1,
        )
        self.end_operation()
        self.drop(ConditionType.FAILED)
        self.ready(ConditionStatus.TRUE, BindingReason.INJECTED, message=message)
        self.say(BindingReason.INJECTED, message)

    def rest(self) -> BindingChange:
        """Nothing more to do; a deletion is looked at straight away."""
        has_acted = self.status != self._snapshot.binding.status
        return self._change(Next(due_at=self._now if self.is_deleted and has_acted else None))

    def again(self, delay: timedelta, *, attempt: int) -> BindingChange:
        """Come back after the delay."""
        return self._change(Next(due_at=self._now + delay, attempt=attempt))

    def retry_after(self, asked_seconds: float | None, *, attempt: int) -> BindingChange:
        """Come back with back-off, or as late as the broker asks, within the longest back-off."""
        asked = timedelta(seconds=min(asked_seconds or 0.0, BROKER_CALLS.maximum.total_seconds()))
        return self.again(max(BROKER_CALLS.delay(attempt), asked), attempt=attempt)

    def poll_after(self, asked_seconds: float | None) -> BindingChange:
        """Poll after a short pause or the one that the broker asks for, and once more when the time is up."""
        left = max(0.0, (self.memory.poll_until or 0.0) - self._now.timestamp())
        pause = max(POLLS.delay(self.memory.polls), timedelta(seconds=asked_seconds or 0.0))
        return self.again(min(pause, timedelta(seconds=left)), attempt=self.attempt)

    def defer_unbind(self) -> BindingChange:
        """The broker will not be interrupted in its bind: go on polling that, as if nothing had been asked."""
        self.status = self._snapshot.binding.status
        self.memory = self._snapshot.memory.model_copy(update={"unbind_deferred": True})
        return self.poll_after(None)

    def wait(self, waiting_for: str | None) -> BindingChange:
        """Come back when woken, or after a while all the same."""
        attempt = self.attempt + 1
        due_at = self._now + DEPENDENCIES.delay(attempt)
        return self._change(Next(due_at=due_at, attempt=attempt, waiting_for=waiting_for))

    def gone(self) -> BindingChange:
        """The finalizer goes, and with it the object; its instance may be waiting for that."""
        binding = self._snapshot.binding
        self.wakes.append(bindings_key(binding.metadata.namespace, binding.spec.instance_ref.name))
        return self._change(Next(), is_finished=True)

    def _change(self, following: Next, *, is_finished: bool = False) -> BindingChange:
        binding = self._snapshot.binding
        status = self.status.model_copy(update={"last_condition_state": last_condition_state(self.status.conditions)})
        document = binding.model_copy(update={"status": status})
        if is_finished:
            left = [name for name in binding.metadata.finalizers or [] if name != FINALIZER]
            metadata = binding.metadata.model_copy(update={"finalizers": left or None})
            document = document.model_copy(update={"metadata": metadata})
        return Change(
            document=document,
            next=following,
            memory=self.memory.to_wire(),
            facts=tuple(self.facts),
            wakes=tuple(self.wakes),
            is_finished=is_finished,
            keep_in_flight=self.keep_in_flight,
        )
