"""A status in the making: what the drafts of all state machines share. Pure; one draft is used for one change."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from chandlery.model.bindings import ServiceBindingStatus
from chandlery.model.conditions import ConditionStatus, ConditionType, with_condition, without_condition
from chandlery.model.instances import ServiceInstanceStatus
from chandlery.model.recorded import RecordedFact
from chandlery.model.wire import WireModel

StatusT = TypeVar("StatusT", ServiceInstanceStatus, ServiceBindingStatus)
MemoryT = TypeVar("MemoryT", bound=WireModel)


class StatusDraft(Generic[StatusT, MemoryT]):
    """Collects a new status, the worker's notes, what to record and whom to wake; its heirs make the change of it."""

    def __init__(self, status: StatusT, memory: MemoryT, *, attempt: int, now: datetime) -> None:
        self.status: StatusT = status
        self.memory: MemoryT = memory
        self.attempt = attempt
        self.facts: list[RecordedFact] = []
        self.wakes: list[str] = []
        self._now = now
        self._said = {(condition.reason, condition.message) for condition in status.conditions}

    def set(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def remember(self, **fields: Any) -> None:
        """Change the worker's notes."""
        self.memory = self.memory.model_copy(update=fields)

    def say(self, reason: str, message: str, *, is_warning: bool = False) -> None:
        """Record an event, unless a condition said so already: a failure that repeats is told once."""
        if (reason, message) not in self._said:
            self.facts.append(RecordedFact(reason, message, is_warning))

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
        return any(
            condition.type == ConditionType.FAILED and condition.status == ConditionStatus.TRUE
            for condition in self.status.conditions
        )
