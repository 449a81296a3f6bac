"""The objects of a dump while an import runs: kept compressed, found by kind and place, in the order they came in.

About a kilobyte for each, so that a dump of 100,000 objects takes about 100 MB. Nothing of it touches the disk: there
are credentials in it.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from chandlery.model.json.json_text import read_written, write_json
from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place

TAKEN_KINDS: Final = (kinds.NAMESPACE, kinds.SECRET, *kinds.CATALOG_KINDS)
_BY_KIND: Final = {kind.kind: kind for kind in TAKEN_KINDS}
_FAST: Final = 1
_CLUSTER_INFO: Final = "cluster-info"


class DumpShelf:
    """What has been read so far."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[Place, bytes]] = {kind.kind: {} for kind in TAKEN_KINDS}
        self._bindings: dict[Place, list[Place]] = {}
        self.passed_over: Counter[str] = Counter()
        """Kinds of no use here, and how many objects there were of each."""
        self.repeated: list[tuple[Kind, Place]] = []
        """Objects that came more than once; the last one counts."""
        self.uids: set[str] = set()
        """Of all objects that are kept."""
        self.cluster_id = ""
        """By which the old controller has called its cluster, if the dump tells."""

    def add(self, document: JsonObject) -> None:
        """Keep an object."""
        kind = _BY_KIND.get(str(document.get("kind")))
        metadata = document.get("metadata")
        if kind is None or document.get("apiVersion") != kind.api_version or not isinstance(metadata, dict):
            self._pass_over(document)
            return
        place = (str(metadata.get("namespace") or "") if kind.namespaced else "", str(metadata.get("name") or ""))
        shelf = self._kept[kind.kind]
        if place in shelf:
            self.repeated.append((kind, place))
        elif kind == kinds.SERVICE_BINDING:
            self._bindings.setdefault((place[0], _instance_name(document)), []).append(place)
        self.uids.add(str(metadata.get("uid") or ""))
        shelf[place] = zlib.compress(write_json(document), _FAST)

    def _pass_over(self, document: JsonObject) -> None:
        metadata, data = document.get("metadata"), document.get("data")
        if document.get("kind") == "ConfigMap" and isinstance(metadata, dict) and isinstance(data, dict):
            if metadata.get("name") == _CLUSTER_INFO and isinstance(data.get("id"), str):
                self.cluster_id = data["id"]
            return
        self.passed_over[f"{document.get('kind')} ({document.get('apiVersion')})"[:100]] += 1

    def places(self, kind: Kind) -> Sequence[Place]:
        """Where there is an object of the kind."""
        return list(self._kept[kind.kind])

    def has(self, kind: Kind, place: Place) -> bool:
        """Whether there is one."""
        return place in self._kept[kind.kind]

    def find(self, kind: Kind, place: Place) -> JsonObject | None:
        """The object as it came in."""
        kept = self._kept[kind.kind].get(place)
        if kept is None:
            return None
        document: JsonObject = read_written(zlib.decompress(kept))
        return document

    def every(self, kind: Kind) -> Iterator[tuple[Place, JsonObject]]:
        """All of a kind."""
        for place in self.places(kind):
            document = self.find(kind, place)
            if document is not None:
                yield place, document

    def bindings_of(self, instance: Place) -> Sequence[Place]:
        """The bindings that refer to an instance."""
        return self._bindings.get(instance, ())

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))


def _instance_name(document: JsonObject) -> str:
    spec = document.get("spec")
    reference = spec.get("instanceRef") if isinstance(spec, dict) else None
    return str(reference.get("name") or "") if isinstance(reference, dict) else ""
