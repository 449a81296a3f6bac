"""A cluster as a dictionary of objects, with what workers do there: in the place of `ClusterClient`."""

import copy
import itertools
from typing import Any, cast

from chandlery.model.faults import AlreadyExists, Conflict, Fault, NotFound, Unavailable
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import APPLY, METADATA, ClusterClient


class PlainCluster:
    """Objects by their paths. Owners of fields are kept of `data` alone."""

    def __init__(self) -> None:
        self.objects: dict[str, JsonObject] = {}
        self.calls: list[str] = []
        self.is_away = False
        self.refuses: dict[str, Fault] = {}
        """What a call is answered with, by its verb and path."""
        self._numbers = itertools.count(1)

    @property
    def client(self) -> ClusterClient:
        return cast("ClusterClient", self)

    def put(
        self, path: str, document: JsonObject, *, manager: str = "somebody", operation: str = "Update"
    ) -> JsonObject:
        """As somebody writes it, who may be ourselves."""
        before = self.objects.get(path, {}).get("metadata", {})
        number = str(next(self._numbers))
        metadata = {"uid": f"uid-{number}", **before, **document.get("metadata", {}), "resourceVersion": number}
        metadata["name"] = path.rpartition("/")[2]
        others = [each for each in before.get("managedFields", []) if each["manager"] != manager]
        fields: JsonObject = {"f:data": {f"f:{key}": {} for key in document.get("data", {})}}
        own = {"manager": manager, "operation": operation, "fieldsV1": fields}
        metadata["managedFields"] = [*others, own]
        self.objects[path] = {**document, "metadata": metadata}
        return copy.deepcopy(self.objects[path])

    async def get(self, path: str, /, *, accept: str = "", **_query: str) -> JsonObject:
        found = self._called("get", path)
        return {"metadata": found["metadata"]} if accept == METADATA else found

    async def create(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        place = f"{path}/{body['metadata']['name']}"
        if self._answer("create", place) is not None:
            raise AlreadyExists(f"{place} already exists")
        return self.put(place, body, manager=query.get("fieldManager", "chandlery"))

    async def apply(self, path: str, body: JsonObject, /, *, field_manager: str, force: bool) -> JsonObject:
        assert force
        found = self._called("apply", path)
        if any(body["metadata"].get(key) not in (None, found["metadata"][key]) for key in ("uid", "resourceVersion")):
            raise Conflict
        return self.put(path, body, manager=field_manager, operation="Apply")

    async def patch(self, path: str, body: Any, /, *, content_type: str) -> JsonObject:
        assert content_type != APPLY
        found = self._called("patch", path)
        if isinstance(body, list):
            entries, version = (step["value"] for step in body)
            if version != found["metadata"]["resourceVersion"]:
                raise Conflict
            self.objects[path]["metadata"]["managedFields"] = entries
            return found
        return self.put(path, {**found, **{key: value for key, value in body.items() if key != "metadata"}})

    async def delete(self, path: str, body: JsonObject, /) -> JsonObject:
        metadata = self._called("delete", path)["metadata"]
        if any(metadata[key] != value for key, value in body["preconditions"].items()):
            raise Conflict
        return self.objects.pop(path)

    def _called(self, verb: str, path: str) -> JsonObject:
        found = self._answer(verb, path)
        if found is None:
            raise NotFound(f"{path} not found")
        return found

    def _answer(self, verb: str, path: str) -> JsonObject | None:
        self.calls.append(f"{verb} {path}")
        if self.is_away:
            raise Unavailable("the cluster cannot be reached")
        if (fault := self.refuses.get(f"{verb} {path}")) is not None:
            raise fault
        return copy.deepcopy(self.objects.get(path))
