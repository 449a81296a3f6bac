"""What the workers' loop asks of each kind of object: the protocol that the services' reconcilers fulfil."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.protocol import PlatformSession, PlatformView
from chandlery.reconcile.operation.deferral import Deferral
from chandlery.reconcile.operation.purpose import PLAIN, Traits
from chandlery.reconcile.policies.broker_policy import BrokerPolicy
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.database import UnitOfWork
from chandlery.store.work.work_claims import Claim

SecretPlace = tuple[str, str]
"""Namespace and name of a Secret."""
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
    action: str
    """What was decided, in the words of `action_name`; for a request to a service broker, what it is for."""
    traits: Traits = PLAIN
    """What is true of such a request."""


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A call to a service broker that has a policy."""

    policy: BrokerPolicy
    is_urgent: bool = False
    """A person wants it made now, whatever the broker is known for."""


class Undelivered(Protocol):
    """Why something is not on the platform."""

    @property
    def keys(self) -> Sequence[str]:
        """The wake-up keys of what is in the way."""


class Reconciler(Protocol[SnapshotT, CallT, AnswerT, DocumentT]):
    """What differs from kind to kind. Only `call` and `deliver` may leave the process."""

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[DocumentT]) -> None:
        """Read in a few statements what `load` is about to ask for, for all of a batch; the rest it asks for itself."""

    def delivers_to(self, snapshot: SnapshotT) -> SecretPlace | None:
        """The Secret that a delivery would be written to."""

    async def load(self, unit: UnitOfWork, document: DocumentT, claim: Claim, platform: PlatformView) -> SnapshotT:
        """Read all that the decision needs. It may be asked twice, with what the platform has said meanwhile."""

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

    def delivery(self, snapshot: SnapshotT, planned: Planned[CallT], answer: AnswerT) -> JsonObject | None:
        """What the answer brings that belongs on the platform; None if nothing."""

    def answered_note(self, snapshot: SnapshotT, planned: Planned[CallT], answer: AnswerT) -> JsonObject | None:
        """What to keep, sealed, until a delivery is recorded; None if what is in flight has it all already."""

    async def deliver(self, platform: PlatformSession, snapshot: SnapshotT, content: JsonObject) -> Undelivered | None:
        """Put a delivery on the platform, or say why that cannot be done. It may be done twice."""

    async def absorb(
        self, unit: UnitOfWork, snapshot: SnapshotT, planned: Planned[CallT], answer: AnswerT, *, undelivered: Any
    ) -> ReconcileResult[DocumentT]:
        """What the answer changes; other writes that belong to it happen here. `undelivered` comes from `deliver`."""

    def lane(self, snapshot: SnapshotT, claim: Claim) -> str:
        """The lane that later commands for this object belong to."""


class PrefetchesNothing:
    """For reconcilers whose objects come one by one."""

    async def prefetch(self, unit: UnitOfWork, documents: Sequence[Any]) -> None:
        """See Reconciler."""


class DeliversNothing:
    """For reconcilers whose answers bring nothing that belongs on the platform."""

    def delivers_to(self, snapshot: Any) -> None:  # noqa: ARG002 - the protocol's signature
        """See Reconciler."""
        return

    def delivery(self, snapshot: Any, planned: Planned[Any], answer: Any) -> None:  # noqa: ARG002 - the protocol's signature
        """See Reconciler."""
        return

    def answered_note(self, snapshot: Any, planned: Planned[Any], answer: Any) -> None:  # noqa: ARG002 - the protocol's signature
        """See Reconciler."""
        return

    async def deliver(self, platform: PlatformSession, snapshot: Any, content: JsonObject) -> None:
        """See Reconciler. Never called."""
        raise NotImplementedError


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
