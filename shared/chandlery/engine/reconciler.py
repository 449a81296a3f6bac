"""What the workers' loop asks of each kind of object: the protocol that the services' reconcilers fulfil."""

from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_queue import Claim

SnapshotT = TypeVar("SnapshotT")
CallT = TypeVar("CallT")
AnswerT = TypeVar("AnswerT")
DocumentT = TypeVar("DocumentT", bound=AnyObject)


@dataclass(frozen=True, kw_only=True)
class Planned(Generic[CallT]):
    """A call that the state machine wants made."""

    call: CallT
    sealed: JsonObject | None = field(repr=False)
    """What to keep, sealed, until the answer is recorded; None if a repeat after a crash may look anew."""
    memory: JsonObject


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A call to a service broker that has a policy."""

    policy: BrokerPolicy
    is_urgent: bool = False
    """A person wants it made now, whatever the broker is known for."""


class Reconciler(Protocol[SnapshotT, CallT, AnswerT, DocumentT]):
    """What differs from kind to kind. Only `call` may leave the process."""

    async def load(self, unit: UnitOfWork, document: DocumentT, claim: Claim) -> SnapshotT:
        """Read all that the decision needs."""

    def decide(self, snapshot: SnapshotT, unit: UnitOfWork) -> Planned[CallT] | ReconcileResult[DocumentT]:
        """Decide: a call to make, or a change to write at once."""

    def guard(self, snapshot: SnapshotT, planned: Planned[CallT]) -> Guarded | None:
        """Whether the call may be held back, and for what; None for what is no call to a service broker."""

    def defer(
        self, snapshot: SnapshotT, deferral: Deferral, *, planned: Planned[CallT], unit: UnitOfWork
    ) -> ReconcileResult[DocumentT]:
        """What is written if the call may not be made now. What was in flight before stays so."""

    async def call(self, snapshot: SnapshotT, planned: Planned[CallT]) -> AnswerT:
        """Make the call. No transaction is open. Never raises for what a service broker does."""

    def announce(
        self, snapshot: SnapshotT, planned: Planned[CallT], unit: UnitOfWork
    ) -> ReconcileResult[DocumentT] | None:
        """The status while the call takes its time."""

    async def absorb(
        self, unit: UnitOfWork, snapshot: SnapshotT, planned: Planned[CallT], answer: AnswerT
    ) -> ReconcileResult[DocumentT]:
        """What the answer changes; other writes that belong to it happen here."""

    def lane(self, snapshot: SnapshotT, claim: Claim) -> str:
        """The lane that later commands for this object belong to."""


class NeverDeferred:
    """For reconcilers whose calls, if they make any, are not to be held back."""

    def guard(self, snapshot: Any, planned: Planned[Any]) -> None:  # noqa: ARG002 - the protocol's signature
        """See Reconciler."""
        return

    def defer(
        self, snapshot: Any, deferral: Deferral, *, planned: Planned[Any], unit: UnitOfWork
    ) -> ReconcileResult[Any]:
        """See Reconciler. Never called."""
        raise NotImplementedError
