"""Rows as the JSON of their objects, for lists: without an object in between, where the row has all that it would.

Comes in: rows whose sealed parts are opened. Goes out: what `to_wire` of the object would be, with the text of its
managed fields. Called by: `RowCodec`.

What is stored is what `to_wire` has written. Only if a field has come to the model since, whose default is told too,
the object has to be made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, get_args

from pydantic import BaseModel

from chandlery.model.objects.kinds import KINDS, Kind
from chandlery.model.objects.metadata import to_timestamp
from chandlery.model.objects.wire import JsonObject

_BESIDE: Final = frozenset({"metadata", "status"})
_SPEC, _STATUS, MANAGED = "spec", "status", "managedFields"


@dataclass(frozen=True)
class _Form:
    """What all objects of a model have in common."""

    head: JsonObject
    """Its API version and its kind."""
    body: frozenset[str]
    """Fields that are always told."""
    spec: frozenset[str]
    status: frozenset[str]
    no_status: JsonObject | None
    """What is told of an object that has none."""


def plain_row(kind: Kind, row: Mapping[str, Any]) -> JsonObject | None:
    """The object in wire form; None if the row lacks something."""
    form, stored, status = _form_of(kind.kind), row[_SPEC], row[_STATUS] if kind.has_status else None
    body = {_SPEC: stored} if _SPEC in kind.body_fields else dict(stored)
    if not form.body <= body.keys() or not form.spec <= body.get(_SPEC, {}).keys():
        return None
    if kind.has_status:
        if status is None:
            status = form.no_status and dict(form.no_status)
        elif not form.status <= status.keys():
            return None
        if status is not None:
            body[_STATUS] = status
    return {**form.head, "metadata": _metadata(kind, row), **body}


def _metadata(kind: Kind, row: Mapping[str, Any]) -> JsonObject:
    deleted_at = row["deleted_at"]
    told = {
        "name": row["name"],
        "generateName": row["generate_name"],
        "namespace": row["namespace"] or None,
        "uid": row["uid"],
        "resourceVersion": str(row["resource_version"]),
        "generation": row["generation"] if _SPEC in kind.body_fields else None,
        "creationTimestamp": _timestamp(row["created_at"]),
        "deletionTimestamp": _timestamp(deleted_at) if deleted_at else None,
        "deletionGracePeriodSeconds": 0 if deleted_at else None,
        "labels": row["labels"],
        "annotations": row["annotations"],
        "ownerReferences": row["owner_references"] or None,
        "finalizers": row["finalizers"],
        MANAGED: row["managed_fields"],
    }
    return {name: value for name, value in told.items() if value is not None}


def _timestamp(moment: datetime) -> str:
    return to_timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@cache
def _form_of(kind: str) -> _Form:
    model: type[BaseModel] = KINDS[kind].model
    fields = model.model_fields
    bare: JsonObject = model.model_construct().model_dump(mode="json", by_alias=True, exclude_none=True)
    return _Form(
        head={name: bare[name] for name in ("apiVersion", "kind")},
        body=_always(model) - {"apiVersion", "kind"} - _BESIDE,
        spec=_always(_model_of(fields[_SPEC].annotation)) if _SPEC in fields else frozenset(),
        status=_always(_model_of(fields[_STATUS].annotation)) if _STATUS in fields else frozenset(),
        no_status=bare.get(_STATUS),
    )


def _always(model: type[BaseModel] | None) -> frozenset[str]:
    """The names of fields that are told whatever they are."""
    fields = model.model_fields if model is not None else {}
    return frozenset(
        field.serialization_alias or field.alias or name
        for name, field in fields.items()
        if not field.exclude and field.get_default(call_default_factory=True, validated_data={}) is not None
    )


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None
