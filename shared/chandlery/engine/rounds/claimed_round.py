"""What the steps of a round hand on to each other. Plain data, and how a round is told of in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from chandlery.engine.circuits.call_gate import Destination
from chandlery.engine.reconciler import AnswerT, CallT, Planned, SnapshotT
from chandlery.engine.rounds.round_report import RoundReport
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.gathered_answers import GatheredAnswers
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.reconcile_result import BROKER_LANE, ReconcileResult, RecordEvent
from chandlery.store.work.work_claims import Claim


@dataclass(frozen=True)
class RecordedRound:
    """A round that is written down."""

    due_at: datetime | None
    """When this process is to see to the object again; None leaves that to others."""
    events: Sequence[RecordEvent] = ()
    """What a platform that joins no transaction has still to be told."""
    report: RoundReport | None = None
    """What it is counted as; None for an object that is gone."""
    ready_after: float | None = None
    """Seconds from the write of the desired state that has been reached by it."""


@dataclass(frozen=True, kw_only=True)
class UndecidedRound:
    """The lease is taken; before anything can be decided, the platform has to be asked."""

    claim: Claim
    document: Any
    until: float
    """The end of the lease by the monotonic clock, which goes on while a process is halted."""
    answers: GatheredAnswers


@dataclass(frozen=True, kw_only=True)
class DecidedRound(Generic[SnapshotT, CallT]):
    """A call is to be made."""

    claim: Claim
    document: Any
    snapshot: SnapshotT
    planned: Planned[CallT]
    until: float
    """See UndecidedRound."""
    to: Destination | None = None
    """None for a call that is never held back."""
    events: Sequence[RecordEvent] = ()
    """See RecordedRound."""


ClaimedRound = UndecidedRound | DecidedRound[SnapshotT, CallT] | RecordedRound | None
"""What a claim comes to; None if there is nothing to do here."""


@dataclass(frozen=True)
class AnsweredRound(Generic[SnapshotT, CallT, AnswerT]):
    """The call has been made, or held back."""

    decided: DecidedRound[SnapshotT, CallT]
    answer: AnswerT | Deferral
    undelivered: Any
    """Why what the answer brought could not be handed over to the platform; None too if the record is to do so."""
    looks_first: bool


def kept_note(entry: "ClaimedRound[Any, Any]") -> tuple[Claim, JsonObject, JsonObject] | None:
    """What is to be written down before the call is made."""
    if not isinstance(entry, DecidedRound) or entry.planned.sealed is None:
        return None
    return entry.claim, entry.planned.sealed, entry.planned.memory


def awaited_keys(change: ReconcileResult[Any]) -> list[str]:
    """What the object is going to wait for, or wants to hear of."""
    keys = {*(change.next.interests or ()), change.next.waiting_for or ""}
    return sorted(keys - {""})


def held_back_from(answered: "AnsweredRound[Any, Any, Any]") -> Destination | None:
    """Where the call that was not made would have gone; None if it was made."""
    return answered.decided.to if isinstance(answered.answer, Deferral) else None


def described(claimed: "UndecidedRound | DecidedRound[Any, Any]") -> str:
    """What is in hand, for people."""
    metadata = claimed.document.metadata
    place = f"{metadata.namespace}/" if metadata.namespace else ""
    to = claimed.to if isinstance(claimed, DecidedRound) else None
    broker = f" at service broker {broker_of(to.lane)}" if to else ""
    return f"{claimed.claim.kind} {place}{metadata.name}{broker}"


def broker_of(lane: str) -> str:
    """`team/harbour`, or `harbour` for a cluster-wide one."""
    return lane.removeprefix(BROKER_LANE).removeprefix("/")
