"""The protobuf form is checked on the wire: field numbers are read by hand, not through the declaration under test."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chandlery.model.objects.kinds import KINDS
from chandlery_gateway.kube.openapi import openapi_protobuf, openapi_v2
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind
from chandlery_gateway.kube.query.negotiation import PROTO_OPENAPI

VARINT, FIXED64, LENGTH = 0, 1, 2
SPEC = {
    "type": "object",
    "description": "A state.",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "format": "int64", "default": 3, "minimum": 1, "maxLength": 7},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "part": {"$ref": "#/definitions/Part", "description": "A part."},
    },
    "x-kubernetes-group-version-kind": [{"group": "g", "kind": "K", "version": "v1"}],
}


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and raw values of one message."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        key = varint()
        if key & 7 == VARINT:
            yield key >> 3, varint()
        else:
            size = 8 if key & 7 == FIXED64 else varint()
            yield key >> 3, data[position : position + size]
            position += size


def _get(data: bytes, *numbers: int) -> Any:
    """The value reached by following field numbers, the first of each."""
    for number in numbers:
        data = next(value for found, value in _fields(data) if found == number)
    return data


def _all(data: bytes, number: int) -> list[Any]:
    return [value for found, value in _fields(data) if found == number]


def _schema(data: bytes, name: str) -> bytes:
    """The value of a NamedSchema list (Definitions, Properties) that has that name."""
    entries: list[bytes] = _all(data, 1)
    found: bytes = next(_get(entry, 2) for entry in entries if _get(entry, 1) == name.encode())
    return found


@pytest.fixture(scope="module")
def encoded() -> bytes:
    parameters = [
        {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Spec"}},
        {"name": "dryRun", "in": "query", "type": "string", "description": "Try.", "uniqueItems": True},
    ]
    operation = {
        "operationId": "patchSpec",
        "consumes": ["application/merge-patch+json"],
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Spec"}}},
        "x-kubernetes-action": "patch",
    }
    name = {"name": "name", "in": "path", "type": "string", "required": True}
    return openapi_protobuf.encode(
        {
            "swagger": "2.0",
            "info": {"title": "Boats", "version": "1"},
            "paths": {"/specs/{name}": {"patch": operation, "parameters": [name]}},
            "definitions": {"Spec": SPEC, "Part": {"type": "object", "properties": {}}},
        }
    )


def test_document_head_is_where_gnostic_puts_it(encoded: bytes) -> None:
    assert _get(encoded, 1) == b"2.0"
    assert _get(encoded, 2, 1) == b"Boats"
    assert _get(encoded, 2, 2) == b"1"


def test_schema_keywords_have_their_field_numbers(encoded: bytes) -> None:
    spec = _schema(_get(encoded, 9), "Spec")
    assert _get(spec, 4) == b"A state."
    assert _get(spec, 19) == b"size"
    assert _get(spec, 22, 1) == b"object"
    size = _schema(_get(spec, 25), "size")
    assert (_get(size, 2), _get(size, 5, 2), _get(size, 11), _get(size, 22, 1)) == (b"int64", b"3", 7, b"integer")
    assert _get(size, 9) == b"\x00\x00\x00\x00\x00\x00\xf0\x3f"


def test_nested_types_are_encoded(encoded: bytes) -> None:
    properties = _get(_schema(_get(encoded, 9), "Spec"), 25)
    items = _get(_schema(properties, "tags"), 23, 1)
    assert [_get(value, 2) for value in _all(items, 20)] == [b'"a"', b'"b"']
    assert _get(_schema(properties, "labels"), 21, 1, 22, 1) == b"string"
    assert _get(_schema(properties, "part"), 1) == b"#/definitions/Part"
    assert _get(_schema(properties, "part"), 4) == b"A part."


def test_extension_holds_yaml(encoded: bytes) -> None:
    extension = _get(_schema(_get(encoded, 9), "Spec"), 31)
    assert _get(extension, 1) == b"x-kubernetes-group-version-kind"
    assert json.loads(_get(extension, 2, 2)) == [{"group": "g", "kind": "K", "version": "v1"}]


def test_empty_properties_are_kept(encoded: bytes) -> None:
    assert _get(_schema(_get(encoded, 9), "Part"), 25) == b""


def test_operation_and_parameters_are_encoded(encoded: bytes) -> None:
    entry = _get(encoded, 8, 2)
    assert _get(entry, 1) == b"/specs/{name}"
    operation = _get(entry, 2, 8)
    assert _get(operation, 5) == b"patchSpec"
    assert _get(operation, 7) == b"application/merge-patch+json"
    body, query = _all(operation, 8)
    assert _get(body, 1, 1, 2) == b"body"
    assert _get(body, 1, 1, 4) == 1
    assert _get(query, 1, 2, 3, 4) == b"dryRun"
    assert _get(query, 1, 2, 3, 20) == 1
    assert _get(entry, 2, 9, 1, 2, 4, 4) == b"name"
    assert _get(operation, 9, 1, 1) == b"200"
    assert _get(operation, 9, 1, 2, 1, 2, 1, 1) == b"#/definitions/Spec"


def test_unknown_key_is_refused_when_it_would_be_lost() -> None:
    with pytest.raises(ValueError, match="Schema has no place for 'oneOf'"):
        openapi_protobuf.encode({"definitions": {"A": {"oneOf": []}}})


def test_content_type_is_one_that_go_can_parse() -> None:
    assert "@" in openapi_protobuf.ACCEPTED_TYPE
    assert "@" not in PROTO_OPENAPI


def test_served_kinds_are_all_encoded_in_reasonable_time() -> None:
    kinds = [
        DocumentedKind(
            group=kind.group,
            version=kind.version,
            kind=kind.kind,
            plural=kind.plural,
            namespaced=kind.namespaced,
            model=kind.model,
            has_status=kind.has_status,
        )
        for kind in KINDS.values()
    ]
    begun = time.process_time()
    document = openapi_v2.document(kinds)
    encoded = openapi_protobuf.encode(document)
    assert time.process_time() - begun < 1
    names = {_get(entry, 1).decode() for entry in _all(_get(encoded, 9), 1)}
    assert names == document["definitions"].keys()
    assert {_get(entry, 1).decode() for entry in _all(_get(encoded, 8), 2)} == document["paths"].keys()
