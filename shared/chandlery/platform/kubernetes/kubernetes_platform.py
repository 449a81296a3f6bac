"""The platform protocol over a cluster: its Secrets, namespaces and events, each a call that joins no transaction.

What a round needs of it is asked, and what it brings is written, between transactions (`engine/rounds/outside_steps`).
Whoever dies in between has the same done again: reads cost nothing, a Secret is given the same data, an event is
counted twice.
"""

from typing import Final

from chandlery.model.faults import Forbidden, NotFound
from chandlery.model.objects.core import Namespace, NamespaceStatus, Secret
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.cluster_namespaces import read_namespace
from chandlery.platform.kubernetes.cluster_secrets import ClusterSecrets, metadata_from
from chandlery.platform.kubernetes.event_recorder import EventRecorder
from chandlery.reconcile.reconcile_result import DeleteSecret, PlatformWrite, RecordEvent, WriteSecret


class KubernetesPlatform:
    """One of these for each process; every session is the same."""

    joins_transactions: Final = False

    def __init__(self, client: ClusterClient) -> None:
        """`client` is closed by whoever has made it."""
        self._client = client
        self._secrets = ClusterSecrets(client)
        self._events = EventRecorder(client)

    def session(self, unit: object | None) -> "KubernetesPlatform":
        """See Platform."""
        if unit is not None:
            raise LookupError("a cluster is no part of a transaction: it is reached outside of all")
        return self

    async def namespace(self, name: str) -> Namespace | None:
        """See PlatformView. Raises Refused if we may not look: nothing goes on before that is put right."""
        try:
            return namespace_from(await read_namespace(self._client, name))
        except NotFound:
            return None

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """See PlatformView. Raises Forbidden, with the command by which the namespace opts in."""
        return await self._secrets.read(namespace, name)

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See PlatformView. In a namespace that goes the Secret goes with it, and so do our rights there."""
        try:
            await self._secrets.withdraw(secret)
        except Forbidden:
            home = await self.namespace(secret.namespace)
            if home is not None and home.metadata.deletion_timestamp is None:
                raise

    async def carry_out(self, write: PlatformWrite) -> None:
        """See PlatformSession."""
        match write:
            case WriteSecret():
                await self._secrets.write(write.secret)
            case DeleteSecret():
                await self.withdraw(write)
            case RecordEvent():
                await self._events.record(write)


def namespace_from(document: JsonObject) -> Namespace:
    """Our model of a cluster's namespace."""
    is_leaving = document.get("status", {}).get("phase") == "Terminating"
    status = NamespaceStatus(phase="Terminating" if is_leaving else "Active")
    return Namespace(metadata=metadata_from(document["metadata"]), status=status)
