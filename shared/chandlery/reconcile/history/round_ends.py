"""How operations end of which a round has asked the broker nothing, and what both workers tell alike. Pure.

A worker says whether an open operation goes on, how it has ended otherwise, and why it was begun. Called by:
`told_round.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chandlery.model.history.recorded_operations import OperationName, OperationOutcome
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.text.names import FINALIZER
from chandlery.reconcile.history.open_operations import OpenOperation
from chandlery.reconcile.history.round_history import Origin, RoundHistory, named
from chandlery.reconcile.reconcile_result import ReconcileResult

DocumentT = TypeVar("DocumentT", bound=AnyObject)


class PolledStatus(Protocol):
    """What the statuses of instances and bindings have in common."""

    @property
    def current_operation(self) -> str | None:
        """In OSB's words."""

    @property
    def orphan_mitigation_in_progress(self) -> bool:
        """Whether what a failed creation may have left is being deleted."""


@dataclass(frozen=True, kw_only=True)
class RoundEnds:
    """What a worker says of operations that its round was not about."""

    goes_on: Callable[[OpenOperation], bool]
    end: Callable[[OpenOperation], OperationOutcome]
    origin: Callable[[OperationName], Origin]
    """Why it was begun, as far as that is known by now; what the history was told at its beginning stays."""

    def close(self, history: RoundHistory, result: ReconcileResult[DocumentT]) -> None:
        """Tell the end of operations that the round has ended without asking the broker about them."""
        if not result.is_finished and FINALIZER not in (result.document.metadata.finalizers or []):
            # Removed by hand: no round will ever do anything about it again.
            for each in history.others:
                history.tell(each.key, OperationOutcome.UNKNOWN, self.origin(each.operation))
            return
        for each in history.others:
            if result.is_finished or not self.goes_on(each):
                history.tell(each.key, self.end(each), self.origin(each.operation))


def polled(status: PolledStatus, *, deletion: OperationName) -> OperationName | None:
    """Which operation the service broker is polled about."""
    current = named(status.current_operation)
    if status.orphan_mitigation_in_progress and current != deletion:
        return OperationName.ORPHAN_MITIGATION
    return current
