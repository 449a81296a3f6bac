"""Reads what Service Catalog has from a cluster that still serves it: page by page, and nothing is changed there.

Comes in: a client of the cluster. Goes out: documents as a dump has them. Called by `import_command.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from chandlery.model.faults import ConfigurationFault, Expired, Forbidden, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.known.used_secrets import own_secret, used_secrets
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.takeover import Reads

_PAGE: Final = "250"
_READ: Final = (*kinds.CATALOG_KINDS, kinds.NAMESPACE)
_CALLS: Final = 16
_AT_ONCE: Final = 500
_CLUSTER_INFO: Final = "/api/v1/namespaces/default/configmaps/cluster-info"


async def read_cluster(cluster: ClusterClient) -> AsyncIterator[JsonObject]:
    """All objects but Secrets. Raises ConfigurationFault if the cluster does not serve them, Forbidden."""
    found = 0
    for kind in _READ:
        try:
            async for each in _objects(cluster, kind):
                found += kind in kinds.CATALOG_KINDS
                yield each
        except NotFound:
            # v0.1 has no namespaced kinds.
            continue
        except Forbidden as fault:
            message = f"{fault.message}. The import has to list {kind.qualified_plural} of all namespaces"
            raise Forbidden(message) from None
    if not found:
        raise ConfigurationFault(f"the cluster {cluster.server} serves nothing of Service Catalog")
    async for each in _cluster_info(cluster):
        yield each


async def _objects(cluster: ClusterClient, kind: Kind) -> AsyncIterator[JsonObject]:
    path = f"/apis/{kind.api_version}/{kind.plural}" if kind.group else f"/api/{kind.version}/{kind.plural}"
    token = ""
    while True:
        query = {"limit": _PAGE, **({"continue": token} if token else {})}
        try:
            page = await cluster.get(path, **query)
        except Expired:
            # From the beginning: the last one of each counts.
            token = ""
            continue
        for item in page.get("items") or ():
            # Items of a list do not say what they are.
            yield {"apiVersion": kind.api_version, "kind": kind.kind, **item}
        token = str((page.get("metadata") or {}).get("continue") or "")
        if not token:
            return


async def _cluster_info(cluster: ClusterClient) -> AsyncIterator[JsonObject]:
    try:
        yield {"kind": "ConfigMap", "apiVersion": "v1", **await cluster.get(_CLUSTER_INFO)}
    except (NotFound, Forbidden):
        return


async def read_used_secrets(cluster: ClusterClient, shelf: DumpShelf, reads: Reads) -> AsyncIterator[JsonObject]:
    """The Secrets that the objects on the shelf use, each asked for by its name. Raises Forbidden."""
    places = _places(shelf, reads)
    turns = asyncio.Semaphore(_CALLS)

    async def found(place: Place) -> JsonObject | None:
        async with turns:
            try:
                return await cluster.get(f"/api/v1/namespaces/{place[0]}/secrets/{place[1]}")
            except NotFound:
                return None

    while places:
        some, places = places[:_AT_ONCE], places[_AT_ONCE:]
        for each in await asyncio.gather(*map(found, some)):
            if each is not None:
                yield {"apiVersion": "v1", "kind": "Secret", **each}


def _places(shelf: DumpShelf, reads: Reads) -> list[Place]:
    found = dict[Place, None]()
    for kind in (*kinds.BROKER_KINDS, kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING):
        for _, document in shelf.every(kind):
            read = reads(kind, document).document
            if read is None:
                continue
            found |= dict.fromkeys(place for place, _ in used_secrets(read))
            if isinstance(read, ServiceBinding):
                found[own_secret(read)] = None
    return list(found)
