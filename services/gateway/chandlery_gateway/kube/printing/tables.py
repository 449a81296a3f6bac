"""`Table` and metadata-only answers: what `kubectl get` prints, made from objects in wire form.

Columns are in `table_columns`. Objects arrive as the store keeps them; routes and the watch send what leaves here.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import CONDITION_LONGEST, clean_text
from chandlery_gateway.kube.printing.table_columns import Column, columns_of
from chandlery_gateway.kube.query.negotiation import META_GROUP

META_V1: Final = f"{META_GROUP}/v1"


class IncludeObject(StrEnum):
    """What each row carries beside its cells: the `includeObject` query parameter."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"


def table(  # noqa: PLR0913 - the parts of one answer
    kind: Kind,
    documents: Iterable[JsonObject],
    *,
    now: datetime,
    api_version: str = META_V1,
    include_object: IncludeObject = IncludeObject.METADATA,
    list_metadata: JsonObject | None = None,
    with_columns: bool = True,
) -> JsonObject:
    """A table with one row an object.

    `api_version` is that of the negotiated form, `list_metadata` has `resourceVersion`, `continue` and the like, and
    `with_columns` may be false in all watch notices after the first.
    """
    columns = columns_of(kind)
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": list_metadata or {},
        "columnDefinitions": [column.definition() for column in columns] if with_columns else [],
        "rows": [
            _row(columns, document, now=now, api_version=api_version, include_object=include_object)
            for document in documents
        ],
    }


def _row(
    columns: tuple[Column, ...],
    document: JsonObject,
    *,
    now: datetime,
    api_version: str,
    include_object: IncludeObject,
) -> JsonObject:
    row: JsonObject = {"cells": [_shown(column.cell(document, now)) for column in columns]}
    if include_object is IncludeObject.METADATA:
        row["object"] = partial_metadata(document, api_version=api_version)
    elif include_object is IncludeObject.OBJECT:
        row["object"] = document
    return row


def _shown(cell: Any) -> Any:
    # Cells go to terminals, and users write what stands in them: messages of events, URLs of brokers.
    return clean_text(cell, longest=CONDITION_LONGEST) if isinstance(cell, str) else cell


def partial_metadata(document: JsonObject, *, api_version: str = META_V1) -> JsonObject:
    """`PartialObjectMetadata`: the object without its body."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": document.get("metadata", {})}


def partial_metadata_list(
    documents: Iterable[JsonObject], *, list_metadata: JsonObject | None = None, api_version: str = META_V1
) -> JsonObject:
    """`PartialObjectMetadataList`: the objects without their bodies."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": list_metadata or {},
        "items": [partial_metadata(document, api_version=api_version) for document in documents],
    }
