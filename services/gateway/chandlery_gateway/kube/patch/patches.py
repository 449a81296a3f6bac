"""PATCH: the stored object in wire form and a patch become the desired object, which is then decoded and admitted.

JSON patch (RFC 6902), merge patch (RFC 7386) and, for kinds of Kubernetes, kubectl's strategic merge patch. No value is
quoted. The fourth kind, server-side apply, needs to know who owns what: `server_side_apply`.
"""

from typing import Any, Final

import jsonpatch
import jsonpointer

from chandlery.model.faults import BadRequest, FieldProblem, Invalid
from chandlery.model.json.json_text import read_json, write_json
from chandlery.model.objects.kinds import ROLE
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.bodies import encode_json, parse_json, type_in_words
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT
from chandlery_gateway.kube.patch.strategic_merge import strategic_merge
from chandlery_gateway.kube.query.negotiation import UnsupportedMediaType

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
_CBOR_APPLY_PATCH: Final = "application/apply-patch+cbor"

_STRATEGICALLY_MERGED: Final = frozenset({"v1", REGARDING_EVENT.api_version, ROLE.api_version})
_MOST_OPERATIONS: Final = 10_000
_LONGEST_ECHO: Final = 200
_NEEDS: Final = {"add": "value", "replace": "value", "test": "value", "remove": "path", "move": "from", "copy": "from"}
_OF_WHAT_IS_THERE: Final = frozenset({"test", "move", "copy"})
_MOST_COPIED_BYTES: Final = 3 * 1024 * 1024
_DEEPEST_POINTER: Final = 256
"""Steps of a pointer: deeper than any object is nested. A million of them take long to be told apart."""


def apply_patch(current: JsonObject, payload: bytes, content_type: str) -> JsonObject:
    """The patched object; `current` is left as it is.

    Raises:
        BadRequest: the patch is malformed.
        Invalid: it cannot be applied to this object: no such path, a failed test.
        UnsupportedMediaType: not a kind of patch that is served for this object.
        ValueError: server-side apply, which is more than a patch.
    """
    media_type = check_patch_type(content_type, api_version=str(current.get("apiVersion", "")))
    if media_type == APPLY_PATCH:
        raise ValueError(media_type)
    if media_type == JSON_PATCH:
        return _json_patched(current, parse_json(payload))
    if media_type == MERGE_PATCH:
        return merge(current, _patch_object(payload))
    return strategic_merge(current, _patch_object(payload))


def finds_out(payload: bytes) -> bool:
    """Whether it is a JSON patch that tells values apart, or puts them elsewhere: who cannot read them could by it."""
    operations = parse_json(payload)
    return isinstance(operations, list) and any(
        isinstance(each, dict) and each.get("op") in _OF_WHAT_IS_THERE for each in operations
    )


def check_patch_type(content_type: str, *, api_version: str) -> str:
    """The media type of a patch that objects of this version take, without its parameters.

    Raises:
        UnsupportedMediaType: any other; the message says how to go on. Asked before the object is looked up.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    is_core = api_version in _STRATEGICALLY_MERGED
    if media_type in (JSON_PATCH, MERGE_PATCH, APPLY_PATCH) or (media_type == STRATEGIC_MERGE_PATCH and is_core):
        return media_type
    raise UnsupportedMediaType(_refusal(media_type))


def _refusal(media_type: str) -> str:
    if media_type == _CBOR_APPLY_PATCH:
        return f"CBOR is not supported; send {APPLY_PATCH}"
    known = f"{JSON_PATCH}, {MERGE_PATCH} or {APPLY_PATCH}"
    if media_type == STRATEGIC_MERGE_PATCH:
        return f"this kind does not support strategic merge patches; send {known} (`kubectl patch --type merge`)"
    return f"a patch of type '{media_type}' is not supported; send {known}"


def _patch_object(payload: bytes) -> JsonObject:
    patch = parse_json(payload)
    if not isinstance(patch, dict):
        raise BadRequest(f"the patch must be an object, not {type_in_words(patch)}")
    encode_json(patch)  # refuses what is nested too deeply for the recursion to come
    return patch


def merge(current: Any, patch: JsonObject) -> JsonObject:
    """JSON merge patch (RFC 7386): null removes, objects merge, everything else replaces."""
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def _json_patched(current: JsonObject, operations: Any) -> JsonObject:
    if not isinstance(operations, list):
        raise BadRequest(f"a JSON patch must be a list of operations, not {type_in_words(operations)}")
    if len(operations) > _MOST_OPERATIONS:
        raise BadRequest(f"a JSON patch may have at most {_MOST_OPERATIONS} operations, not {len(operations)}")
    encode_json(operations)  # refuses what is nested too deeply
    document = read_json(write_json(current))
    copied_bytes = 0
    for number, operation in enumerate(operations, start=1):
        step = _operation(number, operation)
        copied_bytes += _copied_bytes(document, operation)
        if copied_bytes > _MOST_COPIED_BYTES:
            raise _not_applicable(
                f"{_named(number, operation)}: the copies of this patch grow beyond {_MOST_COPIED_BYTES} bytes"
            )
        document = _applied(step, document, _named(number, operation))
    if not isinstance(document, dict):
        raise _not_applicable(f"it turns the object into {type_in_words(document)}")
    return document


def _operation(number: int, operation: Any) -> jsonpatch.JsonPatch:
    needs = _NEEDS.get(operation.get("op", "")) if isinstance(operation, dict) and _is_texts(operation) else None
    if needs is None:
        raise BadRequest(f"operation {number} of the JSON patch must be an object with `path` and a known `op`")
    if needs not in operation:
        raise BadRequest(f"{_named(number, operation)} must have `{needs}`")
    if max(operation.get(key, "").count("/") for key in ("path", "from")) > _DEEPEST_POINTER:
        raise _not_applicable(f"{_named(number, operation)}: there is no such path in the object")
    try:
        return jsonpatch.JsonPatch([operation])
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        pass
    raise BadRequest(
        f"{_named(number, operation)} must have JSON pointers, such as /metadata/name, for `path` and `from`"
    )


def _is_texts(operation: JsonObject) -> bool:
    return all(isinstance(operation.get(key, ""), str) for key in ("op", "path", "from")) and "path" in operation


def _copied_bytes(document: Any, operation: JsonObject) -> int:
    """What a copy adds. A short patch can double a document over and over, so the sum of this is bounded."""
    if operation["op"] != "copy":
        return 0
    try:
        source = jsonpointer.resolve_pointer(document, operation["from"], None)
    except jsonpointer.JsonPointerException:
        return 0
    return len(encode_json(source))


def _applied(step: jsonpatch.JsonPatch, document: Any, named: str) -> Any:
    try:
        return step.apply(document, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        problem = "the value differs from the tested one"
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, LookupError, TypeError, AttributeError):
        problem = "there is no such path in the object"
    raise _not_applicable(f"{named}: {problem}")


def _not_applicable(message: str) -> Invalid:
    # As a problem of the field "patch", as Kubernetes does: kubectl 1.20 shows nothing of an Invalid without causes.
    return Invalid(problems=(FieldProblem("patch", "FieldValueInvalid", message),))


def _named(number: int, operation: JsonObject) -> str:
    return f"operation {number} of the JSON patch ({operation['op']} {operation['path'][:_LONGEST_ECHO]})"
