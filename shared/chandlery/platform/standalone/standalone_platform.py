"""The cluster protocol over our own database: the gateway serves what is written here as core resources."""

import hashlib
import uuid

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Event, EventSource, InvolvedObject, Namespace, RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.objects import Listing

COMPONENT = "service-catalog-controller-manager"
"""The reference's name for whoever records events."""


class StandalonePlatform:
    """Secrets, namespaces and events in the tables of the same transaction."""

    async def namespace(self, unit: UnitOfWork, name: str) -> Namespace | None:
        """See Cluster."""
        found = await unit.objects.list_cached(kinds.NAMESPACE, Listing(namespace="", where=(("name", name),), limit=1))
        return found[0] if found and isinstance(found[0], Namespace) else None

    async def read_secret(self, unit: UnitOfWork, namespace: str, name: str) -> Secret | None:
        """See Cluster."""
        found = await unit.objects.get(kinds.SECRET, namespace, name)
        return found if isinstance(found, Secret) else None

    async def write_secret(self, unit: UnitOfWork, secret: Secret) -> None:
        """See Cluster."""
        meta = secret.metadata
        existing = await self.read_secret(unit, meta.namespace or "", meta.name)
        # Whoever else waits for the Secret is woken by its being written.
        unit.is_known_to(_controller(secret) or "", secret_key(meta.namespace, meta.name))
        if existing is None:
            metadata = meta.model_copy(update={"uid": str(uuid.uuid4()), "creation_timestamp": unit.now})
            await unit.objects.insert(secret.model_copy(update={"metadata": metadata}))
            return
        if _controller(existing) is None or _controller(existing) != _controller(secret):
            raise SecretNotOwned(f'Secret "{meta.namespace}/{meta.name}" exists and is not owned by this binding')
        await unit.objects.update(existing, existing.model_copy(update={"data": secret.data}))

    async def delete_secret(self, unit: UnitOfWork, namespace: str, name: str, *, owner_uid: str) -> None:
        """See Cluster."""
        existing = await self.read_secret(unit, namespace, name)
        if existing is not None and _controller(existing) == owner_uid:
            unit.is_known_to(owner_uid, secret_key(namespace, name))
            await unit.objects.remove(existing)

    async def record(self, unit: UnitOfWork, about: AnyObject, fact: RecordedFact) -> None:
        """See Cluster."""
        meta = about.metadata
        # Events about cluster-scoped objects live in `default`, as in Kubernetes.
        namespace = meta.namespace or "default"
        event = Event(
            metadata=ObjectMeta(
                # Equal events have equal names: the second is counted at the first.
                name=f"{meta.name}.{_fingerprint(meta.uid or '', fact)}",
                namespace=namespace,
                uid=str(uuid.uuid4()),
                creation_timestamp=unit.now,
            ),
            involved_object=InvolvedObject(
                api_version=about.api_version,
                kind=about.kind,
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
            ),
            reason=fact.reason,
            message=fact.message,
            source=EventSource(component=COMPONENT),
            first_timestamp=unit.now,
            last_timestamp=unit.now,
            type="Warning" if fact.is_warning else "Normal",
        )
        unit.events.record(event)


def _fingerprint(uid: str, fact: RecordedFact) -> str:
    parts = (uid, fact.reason, fact.message, "Warning" if fact.is_warning else "Normal")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _controller(secret: Secret) -> str | None:
    owners = secret.metadata.owner_references or []
    return next((owner.uid for owner in owners if owner.controller), None)
