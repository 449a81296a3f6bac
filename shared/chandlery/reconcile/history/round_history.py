"""What one round tells the history of operations: which have begun, what came of them, which are open after it. Pure.

A worker says which operation its request is part of, and what came of it (`instance_history.py`, `binding_history.py`).
Polls tell nothing until they end an operation, so that one that takes an hour is written twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from chandlery.model.history.recorded_operations import (
    OperationName,
    OperationOutcome,
    OperationReason,
    OperationWords,
    RecordedOperation,
)
from chandlery.model.objects.conditions import Condition, ConditionType, find_condition, is_true
from chandlery.model.objects.reasons import BindingReason, InstanceReason
from chandlery.model.text.clean_text import clean_event
from chandlery.reconcile.answers import NO_REASON, Answer, Verdict
from chandlery.reconcile.history.open_operations import OpenOperation, OperationKey
from chandlery.reconcile.reconcile_result import ReconcileResult

GOING_WELL: Final = frozenset({Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.IN_PROGRESS})
GONE: Final = frozenset({Verdict.SUCCEEDED, Verdict.GONE})
"""To a deletion: nothing is left."""
_FAILED_WITHOUT_A_WORD: Final = f"state failed: {NO_REASON}"
_TIMEOUTS: Final = frozenset({InstanceReason.RETRY_TIMEOUT, BindingReason.ASYNC_TIMEOUT})
ResultT = TypeVar("ResultT", bound=ReconcileResult[Any])


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an operation comes from."""

    reason: OperationReason
    requested_by: str
    instance_name: str


class RoundHistory:
    """Collects what a round has to tell."""

    def __init__(self, some: Sequence[OpenOperation], now: datetime) -> None:
        self._open = {each.key: each for each in some}
        self._told: dict[OperationKey, RecordedOperation] = {}
        self._ended: list[RecordedOperation] = []
        self._now = now

    def is_open(self, key: OperationKey) -> bool:
        """Whether an earlier round has begun it."""
        return key in self._open

    def begin(self, operation: OperationName, external_id: str, *, started_at: float, is_attempt: bool) -> OperationKey:
        """A request is part of this operation, which it may begin. `is_attempt` unless it only asks how far that is."""
        key = OperationKey.of(operation, external_id)
        known = self._open.get(key) or OpenOperation(
            operation=operation, external_id=external_id, started_at=started_at, attempts=0 if is_attempt else 1
        )
        attempts = known.attempts + is_attempt
        self._open[key] = known.model_copy(update={"attempts": attempts, "external_id": external_id})
        return key

    def recall(self, operation: OperationName, external_id: str, *, started_at: float) -> None:
        """A worker died with this request, which is not repeated. The history may have heard that it had begun."""
        known = OpenOperation(operation=operation, external_id=external_id, started_at=started_at)
        self._open.setdefault(known.key, known)

    def tell(
        self, key: OperationKey, outcome: OperationOutcome, origin: Origin, *, words: OperationWords | None = None
    ) -> None:
        """What has become of an open operation by now."""
        is_over = outcome != OperationOutcome.IN_PROGRESS
        known = self._open.pop(key) if is_over else self._open[key]
        self._told[key] = RecordedOperation(
            operation=known.operation,
            started_at=datetime.fromtimestamp(known.started_at, UTC),
            external_id=known.external_id,
            reason=origin.reason,
            requested_by=origin.requested_by,
            instance_name=origin.instance_name,
            attempts=known.attempts,
            outcome=outcome,
            words=words,
            ended_at=self._now if is_over else None,
        )

    def supersede(self, key: OperationKey, origin: Origin) -> None:
        """The same is asked for anew, with another specification: that is an operation of its own."""
        self.tell(key, OperationOutcome.SUPERSEDED, origin)
        self._ended.append(self._told.pop(key))

    def announce(self, key: OperationKey, origin: Origin) -> None:
        """A request of this operation is under way."""
        self.tell(key, OperationOutcome.IN_PROGRESS, origin)
        known = self._open[key]
        # It counts when it is answered: should this process die, the next one sends it again and counts it then.
        self._open[key] = known.model_copy(update={"attempts": known.attempts - 1})

    @property
    def others(self) -> Iterator[OpenOperation]:
        """The open operations that this round has told nothing of."""
        return iter([each for key, each in self._open.items() if key not in self._told])

    def on(self, result: ResultT) -> ResultT:
        """The result with what is told, and what stays open."""
        told = (*self._ended, *self._told.values())
        return replace(result, operations=told, open_operations=tuple(self._open.values()))


def words_of(answer: Answer, *, is_deletion: bool) -> OperationWords:
    """What the service broker said, as the history keeps it."""
    said = ": ".join(filter(None, (answer.error, answer.description)))
    is_fine = answer.verdict in (GOING_WELL | GONE if is_deletion else GOING_WELL)
    if answer.verdict == Verdict.OPERATION_FAILED and said in ("", NO_REASON):
        # Its status is 200, as of all that asks how far an operation is.
        said = _FAILED_WITHOUT_A_WORD
    message = clean_event(said or ("" if is_fine else str(answer.verdict)))
    return OperationWords(broker_status=answer.status, message=message, is_failure=not is_fine)


def named(current_operation: str | None) -> OperationName | None:
    """The operation that a status calls current."""
    return OperationName(current_operation) if current_operation else None


def has_failed(conditions: Iterable[Condition]) -> bool:
    """Whether a creation or an update has failed for good."""
    return is_true(tuple(conditions), ConditionType.FAILED)


def failed_as(conditions: Sequence[Condition], *, is_late: bool = False) -> OperationOutcome:
    """How it has failed. `is_late`: the time for it was over, and nothing else was wrong."""
    failed = find_condition(conditions, ConditionType.FAILED)
    is_timeout = is_late or (failed is not None and failed.reason in _TIMEOUTS)
    return OperationOutcome.GIVEN_UP if is_timeout else OperationOutcome.FAILED
