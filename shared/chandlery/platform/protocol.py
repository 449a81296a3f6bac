"""What workers ask of the place where Secrets, namespaces and recorded events live.

Standalone that place is our own database, and the unit of work makes a write part of the transaction that records
why. Aggregated it will be a Kubernetes cluster, which has no part in our transactions and ignores the unit.
"""

from typing import Protocol, TypeVar

from chandlery.model.faults import Fault
from chandlery.model.objects.core import Namespace, RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject

UnitT_contra = TypeVar("UnitT_contra", contravariant=True)


class SecretNotOwned(Fault):
    """A Secret of that name exists and belongs to somebody else."""


class Platform(Protocol[UnitT_contra]):
    """Secrets, namespaces and events, wherever they are."""

    async def namespace(self, unit: UnitT_contra, name: str) -> Namespace | None:
        """The namespace, or None."""

    async def read_secret(self, unit: UnitT_contra, namespace: str, name: str) -> Secret | None:
        """The Secret, or None."""

    async def write_secret(self, unit: UnitT_contra, secret: Secret) -> None:
        """Create the Secret, or replace the data of one with the same controller. Raises SecretNotOwned."""

    async def delete_secret(self, unit: UnitT_contra, namespace: str, name: str, *, owner_uid: str) -> None:
        """Delete the Secret if this owner controls it; anybody else's is left alone, a missing one is fine."""

    async def record(self, unit: UnitT_contra, about: AnyObject, fact: RecordedFact) -> None:
        """Record an event about an object, for people to read."""
