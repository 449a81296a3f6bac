"""The parts of an object that may be sealed (`spec_sealing`), as rows and the change log have them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from chandlery.model.objects.wire import JsonObject
from chandlery.store.sealing.spec_sealing import ANNOTATIONS, BODY, FIELDS, MANAGED, SPEC, STATUS, Parts


def stored_parts(kind: str, stored: JsonObject) -> Parts:
    """Of an object as the change log has it."""
    metadata = stored["metadata"]
    parts = {part: stored if part == BODY else stored.get(part) for part in FIELDS[kind]}
    return {**parts, ANNOTATIONS: metadata.get("annotations"), MANAGED: metadata.get(MANAGED)}


def with_parts(kind: str, stored: JsonObject, parts: Parts) -> JsonObject:
    """The stored form with other parts."""
    stored = dict(parts[BODY]) if BODY in FIELDS[kind] else dict(stored)
    stored["metadata"] = dict(stored["metadata"])
    for part in (SPEC, STATUS):
        if part in FIELDS[kind] and parts[part] is not None:
            stored[part] = parts[part]
    for name, value in (("annotations", parts[ANNOTATIONS]), (MANAGED, parts[MANAGED])):
        if value is not None:
            stored["metadata"][name] = value
    return stored


def row_parts(kind: str, row: Mapping[str, Any]) -> Parts:
    """Of a row of the kind's table."""
    return {part: row[column] for part, column in columns_of(kind).items()}


@cache
def columns_of(kind: str) -> Mapping[str, str]:
    """Which column each part is in."""
    whole = {ANNOTATIONS: "annotations", MANAGED: "managed_fields"}
    return {**{part: "status" if part == STATUS else "spec" for part in FIELDS[kind]}, **whole}
