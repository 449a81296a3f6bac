"""A binding's status in the making: the vocabulary in which `binding_outcomes.py` writes its rules. Pure."""

from datetime import UTC, datetime, timedelta

from chandlery.model.bindings import ServiceBinding, ServiceBindingStatus
from chandlery.model.conditions import ConditionStatus, ConditionType
from chandlery.model.reasons import BindingReason
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import Change, Next, bindings_key
from chandlery.reconcile.status_draft import StatusDraft
from chandlery.retry.schedule import DEPENDENCIES
from chandlery_binder.binding_notes import BindingMemory, InFlight, Purpose
from chandlery_binder.binding_snapshot import (
    BindingSnapshot,
)

BindingChange = Change[ServiceBinding]
_OPERATIONS = {Purpose.BIND: "Bind", Purpose.UNBIND: "Unbind"}


class BindingDraft(StatusDraft[ServiceBindingStatus, BindingMemory]):
    """Collects what changes; `rest`, `again`, `retry_after`, `wait` and `gone` make the change."""

    def __init__(self, snapshot: BindingSnapshot, now: datetime) -> None:
        super().__init__(
            snapshot.binding.status,
            snapshot.memory,
            offering=snapshot.offering,
            attempt=snapshot.attempt,
            now=now,
            policy=snapshot.policy,
        )
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
    def is_unbinding(self) -> bool:
        """Whether what the broker works on, or is asked for, is an unbind."""
        return self.status.current_operation == "Unbind" or self.status.orphan_mitigation_in_progress

    def end_operation(self) -> None:
        """Nothing is being done any more."""
        super().end_operation()
        self.remember(is_fetch_due=False, fetches=0, unbind_deferred=False)

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
        return self.again(self.expect_attempt(attempt, asked_seconds), attempt=attempt)

    def poll_after(self, asked_seconds: float | None) -> BindingChange:
        """Poll after a short pause or the one that the broker asks for, and once more when the time is up."""
        return self.again(self.poll_pause(asked_seconds), attempt=self.attempt)

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
        return self._changed(
            self._snapshot.binding, following, is_finished=is_finished, keep_in_flight=self.keep_in_flight
        )
