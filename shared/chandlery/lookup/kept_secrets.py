"""Sealed copies of the Secrets that a namespaced broker authenticates with, for the time when its namespace goes.

In a cluster the Secrets of a namespace, and the rights to read them, go with it at once, while instances wait to be
deprovisioned: without its credentials their broker could not be asked, and the namespace would never be gone.
Standalone that cannot happen, for there a namespace keeps its Secrets until the last broker has left.

The copies are rows of the table of Secrets, which no cluster's gateway serves: sealed as all of them, and resealed when
keys rotate. Each broker has its own, for several may share a Secret. The syncer makes them when a catalog has been
fetched, and removes them with the broker; `LeftCopies` those of one that went otherwise.
"""

import uuid
from collections.abc import Sequence

from chandlery.model.faults import Forbidden
from chandlery.model.objects import kinds
from chandlery.model.objects.brokers import AnyBroker, auth_secrets
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.reconcile_result import DeleteSecret
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing


class WithKeptSecrets:
    """A PlatformView that has the copies where the platform has nothing to read any more."""

    def __init__(self, unit: UnitOfWork, platform: PlatformView, broker: AnyBroker) -> None:
        """The copies are those of `broker`."""
        self._unit = unit
        self._platform = platform
        self._broker = broker

    async def namespace(self, name: str) -> Namespace | None:
        """See PlatformView."""
        return await self._platform.namespace(name)

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """See PlatformView. Raises Forbidden if it may not be read and there is no copy."""
        try:
            found = await self._platform.read_secret(namespace, name)
        except Forbidden:
            kept = await self._kept(namespace, name)
            if kept is None:
                raise
            return kept
        return found or await self._kept(namespace, name)

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See PlatformView."""
        await self._platform.withdraw(secret)

    async def _kept(self, namespace: str, name: str) -> Secret | None:
        found = await self._unit.objects.get_cached(kinds.SECRET, namespace, _name_of_copy(self._broker, name))
        return found if isinstance(found, Secret) else None


async def read_for_keeping(platform: PlatformView, broker: AnyBroker) -> Sequence[Secret]:
    """The Secrets of a broker that may lose them with its namespace; none of a broker of the cluster."""
    if not broker.metadata.namespace:
        return ()
    found = [await platform.read_secret(*place) for _, place in auth_secrets(broker)]
    return [secret for secret in found if secret is not None]


async def keep_secrets(unit: UnitOfWork, broker: AnyBroker, secrets: Sequence[Secret]) -> None:
    """Have copies of these, and of no others of the broker."""
    kept = {each.metadata.name: each for each in await _copies(unit, broker)}
    for secret in secrets:
        copy = kept.pop(_name_of_copy(broker, secret.metadata.name), None)
        if copy is None:
            await unit.objects.insert_later(_copy_of(secret, broker, unit))
        elif copy.data != secret.data:
            await unit.objects.update_later(copy, copy.model_copy(update={"data": secret.data}))
    for needless in kept.values():
        await unit.objects.remove_later(needless)


async def _copies(unit: UnitOfWork, broker: AnyBroker) -> Sequence[Secret]:
    meta = broker.metadata
    if not meta.namespace:
        return ()
    found = await unit.objects.list(kinds.SECRET, Listing(namespace=meta.namespace))
    return [each for each in found if isinstance(each, Secret) and owner_of_copy(each) == meta.uid]


def _copy_of(secret: Secret, broker: AnyBroker, unit: UnitOfWork) -> Secret:
    owner = OwnerReference(
        api_version=broker.api_version,
        kind=broker.kind,
        name=broker.metadata.name,
        uid=broker.metadata.uid or "",
        controller=True,
    )
    metadata = ObjectMeta(
        name=_name_of_copy(broker, secret.metadata.name),
        namespace=broker.metadata.namespace,
        uid=str(uuid.uuid4()),
        creation_timestamp=unit.now,
        owner_references=[owner],
    )
    return Secret(metadata=metadata, data=secret.data, type=secret.type)


def _name_of_copy(broker: AnyBroker, name: str) -> str:
    return f"{broker.metadata.uid}.{name}"


def owner_of_copy(secret: Secret) -> str | None:
    """The uid of the broker of which this is a copy; None of any other Secret."""
    uid, _, name = secret.metadata.name.partition(".")
    owners = {owner.uid for owner in secret.metadata.owner_references or [] if owner.controller}
    return uid if name and uid in owners else None
