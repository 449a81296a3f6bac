"""What the workers' loop asks of each kind of object: the protocol that the services' reconcilers fulfil."""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from chandlery.model.kinds import AnyObject
from chandlery.model.wire import JsonObject
from chandlery.reconcile.change import Change
from chandlery.store.database import UnitOfWork
from chandlery.store.reconciliations import Claim

SnapshotT = TypeVar("SnapshotT")
CallT = TypeVar("CallT")
AnswerT = TypeVar("AnswerT")
DocumentT = TypeVar("DocumentT", bound=AnyObject)


@dataclass(frozen=True, kw_only=True)
class Planned(Generic[CallT]):
    """A call that the state machine wants made."""

    call: CallT
    in_flight: JsonObject | None = field(repr=False)
    """What to keep, sealed, until the answer is recorded; None if a repeat after a crash may look anew."""
    memory: JsonObject


class Reconciler(Protocol[SnapshotT, CallT, AnswerT, DocumentT]):
    """What differs from kind to kind. Only `perform` may leave the process."""

    async def load(self, unit: UnitOfWork, document: DocumentT, claim: Claim) -> SnapshotT:
        """Read all that the decision needs."""

    def plan(self, snapshot: SnapshotT, unit: UnitOfWork) -> Planned[CallT] | Change[DocumentT]:
        """Decide: a call to make, or a change to write at once."""

    async def perform(self, snapshot: SnapshotT, planned: Planned[CallT]) -> AnswerT:
        """Make the call. No transaction is open. Never raises for what a service broker does."""

    def announce(self, snapshot: SnapshotT, planned: Planned[CallT], unit: UnitOfWork) -> Change[DocumentT] | None:
        """The status while the call takes its time."""

    async def settle(
        self, unit: UnitOfWork, snapshot: SnapshotT, planned: Planned[CallT], answer: AnswerT
    ) -> Change[DocumentT]:
        """What the answer changes; other writes that belong to it happen here."""

    def lane(self, snapshot: SnapshotT, claim: Claim) -> str:
        """The lane that later commands for this object belong to."""
