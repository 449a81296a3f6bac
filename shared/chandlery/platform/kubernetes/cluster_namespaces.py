"""The namespaces of a cluster, as the gateway asks for them before it stores a new object in one.

Each is looked at when it is asked for. Words: kube-apiserver's admission plug-in NamespaceLifecycle.
"""

from chandlery.model.faults import Forbidden, NotFound
from chandlery.platform.kubernetes.cluster_client import METADATA, ClusterClient


class ClusterNamespaces:
    """See the gateway's NamespaceGate."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    async def check_open(self, name: str) -> None:
        """Raises NotFound, Forbidden for one that is being terminated, Unavailable if the cluster does not answer."""
        try:
            found = await self._client.get(f"/api/v1/namespaces/{name}", accept=METADATA)
        except NotFound:
            raise NotFound(f'namespaces "{name}" not found') from None
        if found["metadata"].get("deletionTimestamp") is not None:
            raise Forbidden(f"unable to create new content in namespace {name} because it is being terminated")
