"""A status in the making: what the drafts of instances and bindings share. Pure; one draft makes one result."""

from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingStatus
from chandlery.model.objects.conditions import (
    ConditionStatus,
    ConditionType,
    is_true,
    last_condition_state,
    with_condition,
    without_condition,
)
from chandlery.model.objects.core import RecordedFact
from chandlery.model.objects.instances import ServiceInstance, ServiceInstanceStatus
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.model.text.clean_text import clean_message
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.offering import Offering, Unresolved
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.mitigation import Cause
from chandlery.reconcile.operation.polling import UNCLEAR_POLLS, poll_deadline, poll_pause, unclear_polls
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import ReconcileResult, Requeue


def joined(message: str, *more: str) -> str:
    """Sentences in a row, for a condition: what happened, then the remedy. Events tell the first one alone."""
    sentences = [each.rstrip(". ") for each in (message, *more)]
    ended = [each if each.endswith(("?", "!")) else f"{each}." for each in sentences[:-1]]
    return " ".join([*ended, sentences[-1]])


class OperationNotes(WireModel):
    """What a worker writes down about an operation that its broker works on, or that has to be cleaned up after."""

    poll_until: float | None = None
    """Unix time at which the operation counts as failed."""
    polls: int = 0
    unclear: int = 0
    """Answers to polls in a row that say nothing of the operation."""
    cause: Cause | None = None
    """How the creation failed that is cleaned up after, kept until it is tried again."""
    creation_attempts: int = 0
    """How often it has failed: the cleaning up counts its own attempts."""


DocumentT = TypeVar("DocumentT", ServiceInstance, ServiceBinding)
StatusT = TypeVar("StatusT", ServiceInstanceStatus, ServiceBindingStatus)
MemoryT = TypeVar("MemoryT", bound=OperationNotes)


class StatusDraft(Generic[StatusT, MemoryT]):
    """Collects a new status, the worker's notes, what to record and whom to wake; its heirs make the result of it."""

    def __init__(
        self,
        status: StatusT,
        memory: MemoryT,
        *,
        offering: Offering | Unresolved | None,
        attempt: int,
        now: datetime,
        policy: BrokerPolicy,
    ) -> None:
        self.status: StatusT = status
        self.memory: MemoryT = memory
        self.attempt = attempt
        self.facts: list[RecordedFact] = []
        self.wakes: list[str] = []
        self._offering = offering
        self._now = now
        self.policy = policy
        self._said = {(condition.reason, condition.message) for condition in status.conditions}

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def remember(self, **fields: Any) -> None:
        """Change the worker's notes."""
        self.memory = self.memory.model_copy(update=fields)

    def say(self, reason: str, message: str, *, is_warning: bool = False) -> None:
        """Record an event. One that is there already is counted, so that it tells how often something was tried."""
        fact = RecordedFact(reason, message, is_warning)
        if fact not in self.facts:
            self.facts.append(fact)

    def say_once(self, reason: str, message: str, *, is_warning: bool = False) -> None:
        """The same of what goes on, and would be said at each look: not if a condition says so already."""
        if not self._was_said(reason, clean_message(message)):
            self.say(reason, message, is_warning=is_warning)

    def condition(self, kind: ConditionType, status: ConditionStatus, *, reason: str, message: str) -> None:
        """Set a condition."""
        conditions = with_condition(
            self.status.conditions, kind, status=status, reason=str(reason), message=message, now=self._now
        )
        self.set(conditions=conditions)

    def ready(self, status: ConditionStatus, reason: str, *, message: str) -> None:
        """Set the Ready condition."""
        self.condition(ConditionType.READY, status, reason=reason, message=message)

    def drop(self, kind: ConditionType) -> None:
        """Take a condition away."""
        self.set(conditions=without_condition(self.status.conditions, kind))

    def fail(self, ready_reason: str, failed_reason: str, *, message: str) -> None:
        """Set Ready to False and Failed to True: final for this generation."""
        self.ready(ConditionStatus.FALSE, ready_reason, message=message)
        self.condition(ConditionType.FAILED, ConditionStatus.TRUE, reason=failed_reason, message=message)
        self.say(failed_reason, message, is_warning=True)

    @property
    def is_failed(self) -> bool:
        """Whether nothing more is tried for this generation."""
        return is_true(self.status.conditions, ConditionType.FAILED)

    @property
    def is_time_over(self) -> bool:
        """Whether the operation has failed for as long as it may."""
        start = self.status.operation_start_time
        return start is not None and self._now - start > self.policy.give_up_after

    @property
    def is_poll_time_over(self) -> bool:
        """Whether polling has to stop (OSB v2.17, "Polling Interval and Duration")."""
        return self.memory.poll_until is not None and self._now.timestamp() >= self.memory.poll_until

    def begin_poll(self, operation: str | None) -> None:
        """The broker has accepted and works on it, for as long as its plan or this platform allows."""
        self.set(async_op_in_progress=True, last_operation=operation)
        self.remember(polls=1, unclear=0, poll_until=poll_deadline(self._offering, self.policy, self._now))

    def count_poll(self, answer: Answer) -> None:
        """One more answer that does not end the operation."""
        self.remember(polls=self.memory.polls + 1, unclear=unclear_polls(self.memory.unclear, answer))

    @property
    def is_operation_lost(self) -> bool:
        """Whether the broker has not said for long what has become of its operation."""
        return self.memory.unclear >= UNCLEAR_POLLS

    def end_poll(self) -> None:
        """The broker has come to an end."""
        self.set(async_op_in_progress=False, last_operation=None)
        self.remember(polls=0, unclear=0, poll_until=None)

    def show_deferral(self, deferral: Deferral, *, is_going: bool, remedy: str | None) -> None:
        """Say why a call is put off and when it is made. The remedy is for those who do not want to wait for that."""
        message = joined(deferral.message, remedy) if remedy and deferral.is_circuit else deferral.message
        self.ready(ConditionStatus.UNKNOWN if is_going else ConditionStatus.FALSE, deferral.reason, message=message)

    def begin_clean_up(self, reason: str, message: str) -> None:
        """A creation has failed, and what it may have left is deleted first, with a back-off of its own."""
        self.remember(cause=Cause(reason=str(reason), message=message), creation_attempts=self.attempt + 1)
        self.attempt = 0

    def end_operation(self) -> None:
        """Nothing is being done any more."""
        self.end_poll()
        self.remember(cause=None, creation_attempts=0)
        self.set(current_operation=None, operation_start_time=None, in_progress_properties=None)
        self.expect_no_attempt()

    def expect_attempt(self, attempt: int, retry_after_seconds: float | None) -> timedelta:
        """Show in the status when a failed call is made again, and return how long that is from now."""
        pause = self.policy.pause(attempt, retry_after_seconds)
        self.set(attempts=attempt, next_attempt_time=self._now + pause)
        return pause

    def expect_no_attempt(self) -> None:
        """Nothing has failed."""
        self.set(attempts=None, next_attempt_time=None)

    def poll_pause(self, retry_after_seconds: float | None) -> timedelta:
        """How long it is until the next poll."""
        return poll_pause(
            self.policy,
            self.memory.polls,
            started_at=self.status.operation_start_time or self._now,
            until=self.memory.poll_until,
            now=self._now,
            retry_after_seconds=retry_after_seconds,
        )

    def _was_said(self, reason: str, message: str) -> bool:
        # A condition may have gone on with the remedy.
        beginning = joined(message, "")
        said = {told for cause, told in self._said if cause == reason}
        return message in said or any(told.startswith(beginning) for told in said)

    def _result_of(
        self, document: DocumentT, following: Requeue, *, is_finished: bool, sealed: JsonObject | None
    ) -> ReconcileResult[DocumentT]:
        state = last_condition_state(self.status.conditions)
        fields: dict[str, Any] = {"status": self.status.model_copy(update={"last_condition_state": state})}
        if is_finished:
            left = [name for name in document.metadata.finalizers or [] if name != FINALIZER]
            fields["metadata"] = document.metadata.model_copy(update={"finalizers": left or None})
        return ReconcileResult(
            document=document.model_copy(update=fields),
            next=following,
            memory=self.memory.to_wire(),
            facts=tuple(self.facts),
            wakes=tuple(self.wakes),
            is_finished=is_finished,
            sealed=sealed,
        )
