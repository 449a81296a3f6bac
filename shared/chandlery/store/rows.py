"""Between rows and objects. ORM-free: a row is a mapping, an object is one of the model's kinds.

The body of a Secret is sealed here, on its way into a row, and opened here on its way out; nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from chandlery.model import kinds
from chandlery.model.core import Secret
from chandlery.model.kinds import AnyObject, Kind
from chandlery.model.metadata import ObjectMeta, OwnerReference
from chandlery.model.wire import JsonObject
from chandlery.store.moments import utc
from chandlery.store.schema import LOOKUPS
from chandlery.store.sealing import Keyring

_SEALED = "sealed"
_SEALED_FIELDS = ("data", "stringData")
_MANAGED = "managedFields"


class RowCodec:
    """Writes objects as rows and reads them back."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def to_row(self, document: AnyObject, stored: JsonObject | None = None) -> dict[str, Any]:
        """All columns of the object except its resource version; `stored` is its `to_stored`, if that is at hand."""
        kind = kinds.kind_of(document)
        meta = document.metadata
        stored = stored or self.to_stored(document)
        return {
            "uid": meta.uid,
            "namespace": meta.namespace or "",
            "name": meta.name,
            "generate_name": meta.generate_name,
            "generation": meta.generation or 1,
            "created_at": meta.creation_timestamp,
            "deleted_at": meta.deletion_timestamp,
            "labels": meta.labels or None,
            "annotations": stored["metadata"].get("annotations") or None,
            "finalizers": meta.finalizers or None,
            "owner_references": [owner.to_wire() for owner in meta.owner_references or ()] or None,
            "managed_fields": stored["metadata"].get(_MANAGED),
            "spec": _spec_column(kind, stored),
            "status": stored.get("status"),
            **_lookup_columns(kind, stored),
        }

    def to_stored(self, document: AnyObject) -> JsonObject:
        """The object as JSON that may stand in the database: a Secret's data and annotations are sealed."""
        wire = document.to_wire()
        managed = document.metadata.managed_fields
        if not isinstance(document, Secret):
            if managed is not None:
                wire["metadata"][_MANAGED] = managed
            return wire
        hidden = {
            "body": {field: wire.pop(field) for field in _SEALED_FIELDS if field in wire},
            # `kubectl apply` repeats the manifest in an annotation, data included.
            "annotations": wire["metadata"].pop("annotations", None),
            # The names of the keys are in it.
            _MANAGED: managed,
        }
        wire[_SEALED] = self._keyring.seal(hidden, bound_to=f"Secret/{document.metadata.uid}")
        return wire

    def from_stored(self, kind: Kind, stored: JsonObject) -> AnyObject:
        """The inverse of `to_stored`; raises SealBroken."""
        if kind is kinds.SECRET and _SEALED in stored:
            metadata = stored["metadata"]
            hidden = self._keyring.open(stored[_SEALED], bound_to=f"Secret/{metadata['uid']}")
            metadata = {**metadata, "annotations": hidden["annotations"], _MANAGED: hidden.get(_MANAGED)}
            stored = {**stored, **hidden["body"], "metadata": metadata}
            del stored[_SEALED]
        document: AnyObject = kind.model.model_validate(stored)
        return document

    def from_row(self, kind: Kind, row: Mapping[str, Any]) -> AnyObject:
        """The object that a row holds; raises SealBroken."""
        body = {"spec": row["spec"]} if "spec" in kind.body_fields else dict(row["spec"])
        if kind.has_status and row["status"] is not None:
            body["status"] = row["status"]
        annotations, managed = row["annotations"], row["managed_fields"]
        if kind is kinds.SECRET:
            hidden = self._keyring.open(body.pop(_SEALED), bound_to=f"Secret/{row['uid']}")
            annotations, managed = hidden["annotations"] or None, hidden.get(_MANAGED)
            body |= hidden["body"]
        metadata = _metadata(kind, row, annotations, managed)
        document: AnyObject = kind.model.model_validate({"metadata": metadata, **body})
        return document


def _metadata(
    kind: Kind, row: Mapping[str, Any], annotations: dict[str, str] | None, managed: str | None
) -> ObjectMeta:
    deleted_at = row["deleted_at"]
    return ObjectMeta.model_construct(
        name=row["name"],
        generate_name=row["generate_name"],
        namespace=row["namespace"] or None,
        uid=row["uid"],
        resource_version=str(row["resource_version"]),
        generation=row["generation"] if "spec" in kind.body_fields else None,
        creation_timestamp=utc(row["created_at"]),
        deletion_timestamp=utc(deleted_at) if deleted_at else None,
        deletion_grace_period_seconds=0 if deleted_at else None,
        labels=row["labels"],
        annotations=annotations,
        finalizers=row["finalizers"],
        owner_references=[OwnerReference.model_validate(owner) for owner in row["owner_references"] or ()] or None,
        managed_fields=managed,
    )


def _spec_column(kind: Kind, stored: JsonObject) -> JsonObject:
    if "spec" in kind.body_fields:
        spec: JsonObject = stored.get("spec", {})
        return spec
    return {field: value for field, value in stored.items() if field not in ("apiVersion", "kind", "metadata")}


def _lookup_columns(kind: Kind, stored: JsonObject) -> dict[str, str]:
    return {column: _first(stored, paths) for column, paths in LOOKUPS.get(kind.kind, {}).items()}


def _first(stored: JsonObject, paths: tuple[str, ...]) -> str:
    for path in paths:
        value: Any = stored
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value:
            return str(value)
    return ""
