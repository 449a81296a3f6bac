"""Lists and watches of a cluster as a test has written them down, in the place of `ClusterClient`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, cast

from chandlery.model.faults import Fault, NotFound
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.cluster_watch import WatchEvent

JsonObject = dict[str, Any]


class ScriptedLists:
    """Lists and watches come in the order in which they were written down; then watches stay silent."""

    def __init__(self) -> None:
        self.pages: deque[JsonObject | Fault] = deque()
        self.watches: deque[list[WatchEvent | Fault]] = deque()
        self.objects: dict[str, JsonObject | Fault] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.pauses: list[float] = []
        self.sees_all = True
        """Whether we have the right to all Secrets."""
        self.silent = asyncio.Event()
        """Set when nothing is written down any more."""

    @property
    def client(self) -> ClusterClient:
        return cast("ClusterClient", self)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def get(self, path: str, /, **query: str) -> JsonObject:
        self.seen.append((f"get {path}", query))
        found = self.pages.popleft() if "limit" in query else self.objects.get(path, NotFound(f"{path} not found"))
        if isinstance(found, Fault):
            raise found
        return found

    async def create(self, path: str, _body: JsonObject, /) -> JsonObject:
        self.seen.append((f"create {path}", {}))
        return {"status": {"allowed": self.sees_all}}

    async def watch(self, path: str, /, **query: str) -> AsyncIterator[WatchEvent]:
        self.seen.append((f"watch {path}", query))
        if not self.watches:
            self.silent.set()
            await asyncio.get_running_loop().create_future()
        for event in self.watches.popleft():
            if isinstance(event, Fault):
                raise event
            yield event


def page(*objects: JsonObject, version: str = "10", following: str = "") -> JsonObject:
    return {"items": list(objects), "metadata": {"resourceVersion": version, "continue": following}}


def named(name: str, version: str = "1", **metadata: Any) -> JsonObject:
    return {"metadata": {"name": name, "namespace": "ship", "resourceVersion": version, **metadata}}
