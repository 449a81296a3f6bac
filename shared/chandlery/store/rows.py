"""Between rows and objects. ORM-free: a row is a mapping, an object is one of the model's kinds.

The body of a Secret is sealed here, on its way into a row, and opened here on its way out; nowhere else.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from chandlery.model.faults import SealBroken
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.objects.wire import JsonObject
from chandlery.store.plain_rows import plain_row
from chandlery.store.schema import LOOKUPS
from chandlery.store.sealing.sealing import Keyring, SealPlace
from chandlery.store.sealing.spec_sealing import FIELDS, Parts, SpecSeals
from chandlery.store.sealing.stored_parts import columns_of, row_parts, stored_parts, with_parts


def utc(moment: datetime) -> datetime:
    """The same moment with its zone: SQLite forgets that; what we write is always UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


log = structlog.get_logger(__name__)

_SEALED = "sealed"
_SEALED_FIELDS = ("data", "stringData")
_MANAGED = "managedFields"


class RowCodec:
    """Writes objects as rows and reads them back."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._specs = SpecSeals(keyring)

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
        if not isinstance(document, Secret):
            plain, kind = plain_form(document), document.kind
            if not self._specs.are_wanted(kind):
                return plain
            parts = self._specs.sealed(kind, stored_parts(kind, plain), place_of(document))
            return with_parts(kind, plain, parts)
        wire, hidden = _secret_and_hidden(document)
        wire[_SEALED] = document.sealed or self._keyring.seal(hidden, bound_to=place_of(document))
        return wire

    def changed_columns(self, old: AnyObject, new: AnyObject, row: Mapping[str, Any]) -> dict[str, Any]:
        """What of the row of `new` has to be written over that of `old`.

        What is sealed differs each time, and counts only if what it holds does: so that nobody writes a part that
        somebody else has the care of.
        """
        is_sealed = isinstance(new, Secret) or self._specs.are_wanted(new.kind)
        before = self.to_row(old, _comparable(old))
        after = self.to_row(new, _comparable(new)) if is_sealed else row
        return {column: row[column] for column, value in after.items() if value != before[column]}

    def from_stored(self, kind: Kind, stored: JsonObject, *, namespace: str, name: str) -> AnyObject:
        """The inverse of `to_stored`. A Secret that does not open has no data, and says why.

        Namespace and name are those of the change's own columns, by which readers were let in.
        """
        if kind is kinds.SECRET and _SEALED in stored:
            metadata = stored["metadata"]
            place = SealPlace(kind.kind, namespace, name, metadata["uid"])
            stored = dict(stored)
            sealed = stored.pop(_SEALED)
            try:
                hidden = self._keyring.open(sealed, bound_to=place)
            except SealBroken as fault:
                return self._unreadable(Secret.model_validate(stored), sealed, fault, place)
            metadata = {**metadata, "annotations": hidden["annotations"], _MANAGED: hidden.get(_MANAGED)}
            stored = {**stored, **hidden["body"], "metadata": metadata}
        elif kind.kind in FIELDS:
            place = SealPlace(kind.kind, namespace, name, stored["metadata"].get("uid") or "")
            stored = self._opened(kind.kind, stored, place)
        document: AnyObject = kind.model.model_validate(stored)
        return document

    def as_sealed_before(self, old: AnyObject, new: AnyObject) -> AnyObject:
        """`new` with what is sealed of `old`, if that does not open and `new` has nothing to put in its place."""
        if not isinstance(old, Secret) or old.sealed is None or not isinstance(new, Secret):
            return new
        return new.sealed_as(old.sealed if new.data is None else None)

    def _unreadable(self, secret: Secret, sealed: str, fault: SealBroken, place: SealPlace) -> Secret:
        if self._keyring.is_first_failure(place):
            message = f'the Secret "{place.namespace}/{place.name}" cannot be read: {fault.message}'
            log.error(message, action="open_secret", kind=place.what, uid=place.uid)
        return secret.sealed_as(sealed, why=fault.message)

    def open_row(self, row: Mapping[str, Any]) -> JsonObject:
        """What is sealed of a row of Secrets; raises SealBroken."""
        return self._keyring.open(str(row["spec"].get(_SEALED)), bound_to=_row_place(row))

    def resealed(self, row: Any) -> JsonObject:
        """The `spec` of a row of Secrets, sealed anew; raises SealBroken."""
        return {**row["spec"], _SEALED: self._keyring.seal(self.open_row(row), bound_to=_row_place(row))}

    def resealed_columns(self, kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a row that are sealed otherwise than they would be now, as they would be; raises SealBroken.

        That is with another key than the newest, or not at all, or although nobody asks for it any more.
        """
        if kind is kinds.SECRET:
            if self._keyring.seals_like(str(row["spec"].get(_SEALED)), exactly=True):
                return {}
            return {"spec": self.resealed(row)}
        parts = row_parts(kind.kind, row)
        if self._specs.is_as_wanted(kind.kind, parts):
            return {}
        anew = self._anew(kind.kind, parts, SealPlace(kind.kind, row["namespace"], row["name"], row["uid"]))
        return {column: anew[part] for part, column in columns_of(kind.kind).items() if anew[part] != parts[part]}

    def resealed_stored(self, kind: Kind, stored: JsonObject, *, namespace: str, name: str) -> JsonObject | None:
        """The same for an entry of the change log; None if it is as it would be."""
        place = SealPlace(kind.kind, namespace, name, stored["metadata"].get("uid") or "")
        if kind is kinds.SECRET:
            sealed = str(stored.get(_SEALED))
            if self._keyring.seals_like(sealed, exactly=True):
                return None
            opened = self._keyring.open(sealed, bound_to=place)
            return {**stored, _SEALED: self._keyring.seal(opened, bound_to=place)}
        parts = stored_parts(kind.kind, stored)
        if self._specs.is_as_wanted(kind.kind, parts):
            return None
        return with_parts(kind.kind, stored, self._anew(kind.kind, parts, place))

    def _anew(self, kind: str, parts: Parts, place: SealPlace) -> Parts:
        opened = self._specs.opened(kind, parts, place)
        return self._specs.sealed(kind, opened, place) if self._specs.are_wanted(kind) else opened

    def _opened(self, kind: str, stored: JsonObject, place: SealPlace) -> JsonObject:
        parts = stored_parts(kind, stored)
        opened = self._specs.opened(kind, parts, place)
        return stored if opened is parts else with_parts(kind, stored, opened)

    def from_row(self, kind: Kind, row: Mapping[str, Any]) -> AnyObject:
        """The object that a row holds. A Secret that does not open has no data, and says why."""
        return self._from_opened(kind, self._opened_row(kind.kind, row) if kind.kind in FIELDS else row)

    def _from_opened(self, kind: Kind, row: Mapping[str, Any]) -> AnyObject:
        body = {"spec": row["spec"]} if "spec" in kind.body_fields else dict(row["spec"])
        if kind.has_status and row["status"] is not None:
            body["status"] = row["status"]
        annotations, managed = row["annotations"], row["managed_fields"]
        if kind is kinds.SECRET:
            sealed = body.pop(_SEALED)
            try:
                hidden = self.open_row(row)
            except SealBroken as fault:
                bare = Secret.model_validate({"metadata": _metadata(kind, row, None, None), **body})
                return self._unreadable(bare, sealed, fault, _row_place(row))
            annotations, managed = hidden["annotations"] or None, hidden.get(_MANAGED)
            body |= hidden["body"]
        metadata = _metadata(kind, row, annotations, managed)
        document: AnyObject = kind.model.model_validate({"metadata": metadata, **body})
        return document

    def plain_from_row(self, kind: Kind, row: Mapping[str, Any]) -> JsonObject:
        """`plain_form` of the object that a row holds, in a fraction of the time; not to be changed but at its top."""
        if kind is kinds.SECRET:
            return plain_form(self.from_row(kind, row))
        if kind.kind in FIELDS:
            row = self._opened_row(kind.kind, row)
        # Not opened a second time: what it holds may look as if it were sealed.
        return plain_row(kind, row) or plain_form(self._from_opened(kind, row))

    def _opened_row(self, kind: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = row_parts(kind, row)
        opened = self._specs.opened(kind, parts, SealPlace(kind, row["namespace"], row["name"], row["uid"]))
        if opened is parts:
            return row
        return {**row, **{column: opened[part] for part, column in columns_of(kind).items()}}


def place_of(document: AnyObject) -> SealPlace:
    """What is sealed of an object is bound to this."""
    meta = document.metadata
    return SealPlace(document.kind, meta.namespace or "", meta.name, meta.uid or "")


def plain_form(document: AnyObject) -> JsonObject:
    """The object in wire form, with its managed fields as one text."""
    wire = document.to_wire()
    if document.metadata.managed_fields is not None:
        wire["metadata"][_MANAGED] = document.metadata.managed_fields
    return wire


def _secret_and_hidden(secret: Secret) -> tuple[JsonObject, JsonObject]:
    """What of a Secret may be read, and what is sealed."""
    wire = secret.to_wire()
    return wire, {
        "body": {field: wire.pop(field) for field in _SEALED_FIELDS if field in wire},
        # `kubectl apply` repeats the manifest in an annotation, data included.
        "annotations": wire["metadata"].pop("annotations", None),
        # The names of the keys are in it.
        _MANAGED: secret.metadata.managed_fields,
    }


def _comparable(document: AnyObject) -> JsonObject:
    """As it is stored, with what is sealed in plain, for two of them to be told apart."""
    if not isinstance(document, Secret):
        return plain_form(document)
    wire, hidden = _secret_and_hidden(document)
    return {**wire, _SEALED: document.sealed or hidden}


def _row_place(row: Mapping[str, Any]) -> SealPlace:
    return SealPlace(kinds.SECRET.kind, row["namespace"], row["name"], row["uid"])


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
