"""The first step of reading a request: bytes become a JSON object. `decoding` makes an object of ours of it.

No message made here carries anything of the body but key names: bodies hold passwords.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chandlery.model.faults import BadRequest, Fault
from chandlery.model.json.json_text import MOST_SENT_VALUES, NotJson, has_more_values, read_json, write_json
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.body.yaml_bodies import TOO_DEEP, Path, parse_yaml
from chandlery_gateway.kube.query.negotiation import PROTOBUF, UnsupportedMediaType

MOST_BODY_BYTES: Final = 3 * 1024 * 1024
"""As kube-apiserver: twice what may be stored, for patches and for what is written with much white space."""
_JSON_TYPES: Final = frozenset({"", "application/json"})
_YAML_TYPES: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})


_MOST_PROTOBUF_BYTES: Final = MOST_BODY_BYTES // 2
"""It has no white space, and grows when it becomes JSON."""
_PROTOBUF_BEGINS: Final = b"k8s\0"
_CHEAP_JSON: Final = 8 * 1024
_CHEAP_YAML: Final = 256
"""Bytes that are read in no time, whatever is in them."""


class RequestTooLarge(Fault):
    """The request body is too large."""


@dataclass(frozen=True, slots=True)
class Body:
    """A parsed body: the object, the same as plain JSON, and where keys were repeated (the last one counts)."""

    document: JsonObject
    encoded: bytes
    repeated: tuple[Path, ...] = ()


def parse_body(payload: bytes, content_type: str, *, find_repeated: bool, takes_protobuf: bool) -> Body:
    """Parses JSON, YAML or, where an object of Kubernetes' own is expected, protobuf.

    Looking for repeated keys costs a second pass over JSON.

    Raises:
        RequestTooLarge: too many bytes or values to work with.
        BadRequest: empty, malformed (with line and column), nested too deeply, or no object.
        UnsupportedMediaType: of no type that is read here, or in protobuf and of a kind that has no such form here.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    is_protobuf = media_type == PROTOBUF and takes_protobuf
    if media_type not in _JSON_TYPES | _YAML_TYPES and not is_protobuf:
        raise UnsupportedMediaType(
            f"a body of type {media_type} is not supported; send application/json or application/yaml"
        )
    if not payload.strip():
        raise BadRequest("the request has no body; an object was expected")
    if is_protobuf and len(payload) > _MOST_PROTOBUF_BYTES:
        raise RequestTooLarge(f"Request entity too large: limit of a body in protobuf is {_MOST_PROTOBUF_BYTES}")
    if is_protobuf:
        from chandlery_gateway.kube.protobuf.protobuf_bodies import parse_protobuf  # noqa: PLC0415 - see there

        # A field that is sent twice is no mistake there: the rules of protobuf merge it.
        return Body(*_checked(parse_protobuf(payload)))
    if media_type in _YAML_TYPES:
        parsed, repeated = parse_yaml(payload)
        _, encoded = _checked(parsed)
        return Body(read_json(encoded), encoded, repeated)
    document, encoded = _checked(parse_json(payload))
    return Body(document, encoded, repeated_keys(payload) if find_repeated else ())


def is_costly(payload: bytes) -> bool:
    """Whether reading the body may take longer than others should wait."""
    if payload.startswith(_PROTOBUF_BEGINS):
        # The first one loads what reads it.
        return True
    return len(payload) > (_CHEAP_JSON if payload.lstrip()[:1] in (b"{", b"[") else _CHEAP_YAML)


def parse_json(payload: bytes) -> Any:
    """Parses JSON strictly.

    Raises:
        BadRequest: malformed; the message has line and column.
        RequestTooLarge: so many values that it would be too costly to work with.
    """
    check_values(payload, MOST_SENT_VALUES, of="a body")
    try:
        return read_json(payload)
    except NotJson as fault:
        raise BadRequest(f"the request body is not valid JSON: {fault.message}") from None


def check_values(text: bytes, most: int, *, of: str) -> None:
    """Raises RequestTooLarge if there are more values in the JSON text than so many."""
    if has_more_values(text, most):
        raise RequestTooLarge(f"Request entity too large: {of} may have {most} values, counted at every depth")


def encode_json(document: Any) -> bytes:
    """The value as JSON.

    Raises:
        BadRequest: nested too deeply, or YAML gave something that JSON has no form for.
    """
    try:
        return write_json(document)
    except RecursionError:
        problem = TOO_DEEP
    except (TypeError, ValueError):
        problem = "the request body has a value that JSON cannot express"
    raise BadRequest(problem)


def _checked(parsed: Any) -> tuple[JsonObject, bytes]:
    if not isinstance(parsed, dict):
        raise BadRequest(f"the request body must be an object, not {type_in_words(parsed)}")
    return parsed, encode_json(parsed)


def type_in_words(value: Any) -> str:
    """What a JSON value is, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"


class _Pairs(list[tuple[str, Any]]):
    """An object of which every key is kept, for the search of repeated ones."""


class _Repeated(Exception):
    """Some key occurs twice."""


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Repeated


def repeated_keys(payload: bytes) -> tuple[Path, ...]:
    """Where an object in this JSON, which has been parsed before, has the same key twice. Raises BadRequest."""
    try:
        json.loads(payload, object_pairs_hook=_refuse_repeated)
    except _Repeated:
        return tuple(dict.fromkeys(_walk(json.loads(payload, object_pairs_hook=_Pairs), ())))
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    return ()


def _walk(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, _Pairs):
        seen = set()
        for key, inner in value:
            if key in seen:
                yield (*path, key)
            seen.add(key)
            yield from _walk(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _walk(inner, (*path, position))
