"""The operation history of one object as its rounds tell it, and what holds of it whatever happens."""

from dataclasses import dataclass, field, replace
from typing import Any

from chandlery.model.history.recorded_operations import OperationOutcome, RecordedOperation
from chandlery.reconcile.history.open_operations import OpenOperation, OperationKey, read_open, write_open
from chandlery.reconcile.reconcile_result import ReconcileResult

Row = tuple[OperationKey, float]


@dataclass
class ToldHistory:
    """What the table would hold."""

    open: tuple[OpenOperation, ...] = ()
    rows: dict[Row, RecordedOperation] = field(default_factory=dict)
    answered: int = 0
    """Requests that change something at the broker and whose answer was recorded."""
    writes: int = 0
    """How often a row was written."""

    @property
    def story(self) -> list[str]:
        """Each operation in a line, in the order in which they began."""
        ordered = sorted(self.rows.values(), key=lambda told: told.started_at)
        return [f"{each.operation} ({each.reason}) x{each.attempts}: {each.outcome}" for each in ordered]

    def take(self, change: ReconcileResult[Any], *, is_attempt: bool = False) -> None:
        """What a round has recorded."""
        self.answered += is_attempt
        for told in change.operations:
            self._write(told)
        if change.open_operations is not None:
            # Through the wire form, as through the database.
            self.open = read_open(write_open(change.open_operations))
        going = {row for row, told in self.rows.items() if told.outcome == OperationOutcome.IN_PROGRESS}
        assert going <= {(each.key, each.started_at) for each in self.open}, "an operation that nobody would ever end"
        assert sum(told.attempts for told in self.rows.values()) <= self.answered
        is_over = change.next.due_at is None and change.next.waiting_for is None
        assert not (is_over and self.open), "nothing is due that would end it"
        if change.is_finished:
            assert self.open == ()
            assert going == set()
            assert sum(told.attempts for told in self.rows.values()) == self.answered, "a request that is not told of"

    def hear(self, change: ReconcileResult[Any]) -> None:
        """What is written while a call takes its time: rows of the history, and nothing of what is open."""
        for told in change.operations:
            self._write(told)

    def _write(self, told: RecordedOperation) -> None:
        row = (OperationKey.of(told.operation, told.external_id), told.started_at.timestamp())
        before = self.rows.get(row)
        assert before is None or before.outcome == OperationOutcome.IN_PROGRESS, f"{row} had ended: {before}"
        assert (told.ended_at is None) == (told.outcome == OperationOutcome.IN_PROGRESS)
        assert told.ended_at is None or told.ended_at >= told.started_at
        assert told.reason
        # As the table keeps it: what was first told of why and by whom stays, and so do attempts that are known.
        kept: dict[str, Any] = {}
        if before is not None:
            attempts = max(before.attempts, told.attempts)
            kept = {"reason": before.reason, "requested_by": before.requested_by, "attempts": attempts}
        self.rows[row] = replace(told, **kept)
        self.writes += 1
