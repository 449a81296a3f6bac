"""What workers ask of the place where Secrets, namespaces and recorded events live.

Standalone that place is our own database: it joins transactions, so that a write is part of the transaction that
records why. A Kubernetes cluster joins none, and each of its answers takes a while: such a platform is asked and
written to between transactions, never within one. `reconcile_loop.py` sees to that; reconcilers know of no difference.
"""

from datetime import datetime
from typing import Protocol, TypeVar

from chandlery.model.faults import Fault
from chandlery.model.objects.core import Namespace, Secret
from chandlery.reconcile.reconcile_result import DeleteSecret, PlatformWrite

UnitT_contra = TypeVar("UnitT_contra", contravariant=True)


class SecretNotOwned(Fault):
    """A Secret of that name exists and belongs to somebody else."""


class PlatformView(Protocol):
    """What a decision may ask while it is being prepared."""

    async def namespace(self, name: str) -> Namespace | None:
        """The namespace, or None."""

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret, or None."""

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See DeleteSecret: it is gone before anything is decided. Raises Forbidden or Invalid if it cannot be."""


class PlatformSession(PlatformView, Protocol):
    """The platform as one caller reaches it: within a transaction of his, or outside of any."""

    async def carry_out(self, write: PlatformWrite) -> None:
        """Do what it says. Raises SecretNotOwned if the Secret to be written is somebody else's."""


class NamespaceGate(Protocol):
    """Whether new objects may be put into a namespace, where namespaces are not in our own database."""

    async def check_open(self, name: str) -> None:
        """Raises NotFound, Forbidden for one that is being terminated, Unavailable if nobody knows."""

    async def run(self) -> None:
        """Follow them, so that each need not be looked up; ends by cancellation."""

    async def begun_at(self, name: str) -> datetime | None:
        """When it was made, in UTC; None if there is none. What is older belongs to another one of its name.

        Raises Unavailable.
        """


class Platform(Protocol[UnitT_contra]):
    """Secrets, namespaces and events, wherever they are."""

    @property
    def joins_transactions(self) -> bool:
        """Whether what is asked and written becomes part of our transaction, and costs no more than a statement."""

    def session(self, unit: UnitT_contra | None) -> PlatformSession:
        """A session within this transaction, if the platform joins any; with None, outside of all transactions."""
