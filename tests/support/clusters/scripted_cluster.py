"""A cluster that answers from a dictionary of objects, and reviews by functions: stands for the cluster's client."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from chandlery.model.faults import AlreadyExists, Conflict, Fault, NotFound
from chandlery.model.objects.wire import JsonObject

Answer = Callable[[JsonObject], JsonObject]


class ScriptedCluster:
    """Objects by their paths; every write gives an object its next version, and watchers are told of it."""

    def __init__(self, namespace: str = "chandlery") -> None:
        self.namespace = namespace
        self.objects: dict[str, JsonObject] = {}
        self.answers: dict[str, Answer] = {}
        """What is answered to a POST, by path: else the object is made."""
        self.asked: list[tuple[str, JsonObject]] = []
        """Every POST."""
        self.writes: list[tuple[str, str]] = []
        """Every write of an object: the verb, and the path."""
        self.fault: Fault | None = None
        """What every question is answered with, if it is set."""
        self.hold: asyncio.Event | None = None
        """What every question waits for, if it is set."""
        self.has_watchers = asyncio.Event()
        self._version = 0
        self._watchers: list[tuple[str, asyncio.Queue[tuple[str, JsonObject]]]] = []

    def put(self, path: str, **fields: Any) -> JsonObject:
        """Write the object of this path, as somebody else would."""
        self._version += 1
        name = path.rpartition("/")[2]
        was = self.objects.get(path)
        found = {"metadata": {"name": name}, **fields}
        found["metadata"] = {**found["metadata"], "name": name, "resourceVersion": str(self._version)}
        self.objects[path] = found
        self._tell("ADDED" if was is None else "MODIFIED", path, found)
        return copy.deepcopy(found)

    def remove(self, path: str) -> None:
        """Delete it, as somebody else would."""
        self._tell("DELETED", path, self.objects.pop(path))

    async def get(self, path: str, /, **_query: str) -> JsonObject:
        await self._asked()
        if path not in self.objects:
            raise NotFound(f"{path} not found")
        return copy.deepcopy(self.objects[path])

    async def create(self, path: str, body: JsonObject, /, **_query: str) -> JsonObject:
        self.asked.append((path, copy.deepcopy(body)))
        await self._asked()
        if path in self.answers:
            return self.answers[path](body)
        place = f"{path}/{_name(body)}"
        if place in self.objects:
            raise AlreadyExists(f"{place} already exists")
        self.writes.append(("create", place))
        return self.put(place, **body)

    async def replace(self, path: str, body: JsonObject, /, **_query: str) -> JsonObject:
        await self._asked()
        self._check(path, body)
        self.writes.append(("replace", path))
        return self.put(path, **body)

    async def patch(self, path: str, body: Any, /, *, content_type: str, **_query: str) -> JsonObject:
        assert content_type == "application/merge-patch+json"
        await self._asked()
        self._check(path, body)
        self.writes.append(("patch", path))
        return self.put(path, **_merged(self.objects[path], body))

    async def watch(self, path: str, /, **query: str) -> AsyncIterator[tuple[str, JsonObject]]:
        name = query["fieldSelector"].removeprefix("metadata.name=")
        queue: asyncio.Queue[tuple[str, JsonObject]] = asyncio.Queue()
        self._watchers.append((f"{path}/{name}", queue))
        since = int(query.get("resourceVersion", "0"))
        found = self.objects.get(f"{path}/{name}")
        self.has_watchers.set()
        if found is not None and _version(found) > since:
            yield "MODIFIED", copy.deepcopy(found)
        while True:
            yield await queue.get()

    async def _asked(self) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.fault is not None:
            raise self.fault

    def _check(self, path: str, body: JsonObject) -> None:
        if path not in self.objects:
            raise NotFound(f"{path} not found")
        given = body.get("metadata", {}).get("resourceVersion")
        if given not in (None, self.objects[path]["metadata"]["resourceVersion"]):
            raise Conflict

    def _tell(self, change: str, path: str, found: JsonObject) -> None:
        for queue in self._of(path):
            queue.put_nowait((change, copy.deepcopy(found)))

    def _of(self, path: str) -> Iterator[asyncio.Queue[tuple[str, JsonObject]]]:
        return (queue for place, queue in self._watchers if place == path)


def _name(body: JsonObject) -> str:
    return str(body["metadata"]["name"])


def _version(found: JsonObject) -> int:
    return int(found["metadata"]["resourceVersion"])


def _merged(found: Any, patch: Any) -> Any:
    """Rule: RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
