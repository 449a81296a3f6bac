"""What a round tells the operation history: of an answer, of a call that takes its time, of what needs no call. Pure.

A worker says of its kind of object which operation a request is part of, and what has become of it; the order in which
that is told is the same for both. Called by: `instance_history.py` and `binding_history.py`, whose worker's outcomes
make their result before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from chandlery.model.history.recorded_operations import OperationName, OperationOutcome, OperationWords
from chandlery.reconcile.history.open_operations import OpenOperation, OperationKey
from chandlery.reconcile.history.round_ends import RoundEnds
from chandlery.reconcile.history.round_history import Origin, RoundHistory
from chandlery.reconcile.operation.open_request import OpenRequest
from chandlery.reconcile.reconcile_result import ReconcileResult

RequestT = TypeVar("RequestT", bound=OpenRequest[Any])
ResultT = TypeVar("ResultT", bound=ReconcileResult[Any])


class Told(NamedTuple):
    """What an answer has made of an operation."""

    outcome: OperationOutcome
    words: OperationWords


@dataclass(frozen=True, kw_only=True)
class ToldRound(Generic[RequestT, ResultT]):
    """A round on an object, as its worker explains it to the history."""

    open_operations: Sequence[OpenOperation]
    lost: RequestT | None
    """The request of an earlier round of which nobody knows what came of it."""
    name: Callable[[RequestT], OperationName | None]
    """Which operation a request is part of; None for what changes nothing at the service broker."""
    external_id: Callable[[RequestT], str]
    begin: Callable[[RoundHistory, RequestT, OperationName], OperationKey]
    origin: Callable[[RequestT, OperationName], Origin]
    ends: Callable[[ResultT], RoundEnds]

    def with_answer(
        self, sent: RequestT, *, told: Callable[[OperationName], Told | None], result: ResultT, now: datetime
    ) -> ResultT:
        """The result of a call, with what the history is told of it; `told` returns None for what is no news."""
        history, name = RoundHistory(self.open_operations, now), self.name(sent)
        self._recall(history, sent)
        if name is not None:
            key = self.begin(history, sent, name)
            if (news := told(name)) is not None:
                history.tell(key, news.outcome, self.origin(sent, name), words=news.words)
        return self._closed(history, result)

    def with_announcement(self, sent: RequestT, *, result: ResultT, now: datetime) -> ResultT:
        """What is written while a call takes its time: the operation has begun, which may end another."""
        history, name = RoundHistory(self.open_operations, now), self.name(sent)
        if name is not None:
            history.announce(self.begin(history, sent, name), self.origin(sent, name))
        return self._closed(history, result)

    def without_call(self, *, result: ResultT, now: datetime) -> ResultT:
        """What is decided without a call may end what was open."""
        history = RoundHistory(self.open_operations, now)
        if result.is_finished:
            self._recall(history)
        return self._closed(history, result)

    def _closed(self, history: RoundHistory, result: ResultT) -> ResultT:
        self.ends(result).close(history, result)
        return history.on(result)

    def _recall(self, history: RoundHistory, sent: RequestT | None = None) -> None:
        """What came of a request is unknown, and this round does not repeat it."""
        lost = self.lost
        if lost is None or (sent is not None and sent.started_at == lost.started_at):
            return
        name = self.name(lost)
        if name is not None:
            history.recall(name, self.external_id(lost), started_at=lost.started_at)
