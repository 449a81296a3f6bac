"""Where namespaces and Secrets of an import are: in the dump and our database, or in the cluster. Reading only."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from chandlery.model.faults import Forbidden, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.takeover import Reads
from chandlery.store.database import Database

_CALLS: Final = 16
"""To the cluster at the same time."""


class Home(Protocol):
    """What is looked up of the place where Secrets live."""

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster, which has Secrets and namespaces already."""

    async def namespace(self, name: str) -> Namespace | None:
        """The namespace, or None."""

    async def secrets(self, places: Collection[Place]) -> Mapping[Place, Secret]:
        """Those of the Secrets that there are."""

    def is_stored(self, place: Place) -> bool:
        """Whether the Secret, which has been looked for, is there already, and does not come with the dump."""

    def is_unknown(self, place: Place) -> bool:
        """Whether nobody here may tell if there is such a Secret."""


class StandaloneHome:
    """The dump, and before it what is stored already."""

    is_cluster = False

    def __init__(self, database: Database, shelf: DumpShelf, reads: Reads) -> None:
        self._database = database
        self._shelf = shelf
        self._reads = reads
        self._stored: set[Place] = set()

    async def namespace(self, name: str) -> Namespace | None:
        """See Home: only what is stored."""
        found = await self._database.run(lambda unit: unit.objects.get(kinds.NAMESPACE, "", name))
        return found if isinstance(found, Namespace) else None

    async def secrets(self, places: Collection[Place]) -> Mapping[Place, Secret]:
        """See Home: what is stored goes before what is in the dump."""
        stored = await self._database.run(lambda unit: unit.objects.prefetch(kinds.SECRET, set(places)))
        found = {_place(each): each for each in stored if isinstance(each, Secret)}
        self._stored |= found.keys()
        for place in places:
            document = None if place in found else self._shelf.find(kinds.SECRET, place)
            read = self._reads(kinds.SECRET, document).document if document else None
            if isinstance(read, Secret):
                found[place] = read
        return found

    def is_stored(self, place: Place) -> bool:
        """See Home."""
        return place in self._stored

    def is_unknown(self, place: Place) -> bool:  # noqa: ARG002 - see Home
        """See Home."""
        return False


class ClusterHome:
    """The cluster. What may not be read there counts as unknown, and not as missing."""

    is_cluster = True

    def __init__(self, cluster: ClusterClient, reads: Reads) -> None:
        self._cluster = cluster
        self._reads = reads
        self._turns = asyncio.Semaphore(_CALLS)
        self._unknown: set[Place] = set()

    async def namespace(self, name: str) -> Namespace | None:
        """See Home."""
        found = await self._found(kinds.NAMESPACE, f"/api/v1/namespaces/{name}")
        return found if isinstance(found, Namespace) else None

    async def secrets(self, places: Collection[Place]) -> Mapping[Place, Secret]:
        """See Home."""
        found = await asyncio.gather(*(self._secret(place) for place in places))
        return {place: secret for place, secret in zip(places, found, strict=True) if secret is not None}

    def is_stored(self, place: Place) -> bool:  # noqa: ARG002 - see Home
        """See Home."""
        return True

    def is_unknown(self, place: Place) -> bool:
        """See Home."""
        return place in self._unknown

    async def _secret(self, place: Place) -> Secret | None:
        namespace, name = place
        try:
            async with self._turns:
                found = await self._found(kinds.SECRET, f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except Forbidden:
            self._unknown.add(place)
            return None
        return found if isinstance(found, Secret) else None

    async def _found(self, kind: Kind, path: str) -> AnyObject | None:
        try:
            document = await self._cluster.get(path)
        except NotFound:
            return None
        return self._reads(kind, document).document


def _place(secret: AnyObject) -> Place:
    return (secret.metadata.namespace or "", secret.metadata.name)
