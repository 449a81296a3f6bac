"""JSON as bytes, quick where it can be and exact where it must be. Both directions of a call go through here."""

import json
import re
from typing import Any

import orjson

from chandlery.model.wire import JsonObject
from chandlery.osb.faults import UnreadableText

DEPTH_LIMIT = 100
"""Objects and arrays within each other: what goes into the database has to come out again, and 200 do not."""

_MAYBE_BEYOND_64_BITS = re.compile(rb"\d{19}")


def write_json(document: JsonObject) -> bytes:
    """Compact UTF-8. Integers of any size stay as they are: parameters belong to the user."""
    try:
        return orjson.dumps(document)
    except TypeError:
        # orjson stops at 64 bits and at lone surrogates; the standard library does not.
        return json.dumps(document, separators=(",", ":")).encode("ascii")


def read_object(text: bytes, *, unique_keys: bool = False) -> JsonObject:
    """Parse one JSON object. `unique_keys` refuses objects that give a key twice.

    Raises:
        UnreadableText: not UTF-8, not JSON (a byte order mark or NaN included), not an object, or nested too deeply.
    """
    try:
        document = orjson.loads(text)
        if unique_keys or _MAYBE_BEYOND_64_BITS.search(text):
            # orjson turns large integers into floats, which would change credentials.
            document = json.loads(text, object_pairs_hook=_unique if unique_keys else None)
    except (ValueError, RecursionError):
        raise UnreadableText("the body is not valid JSON") from None
    if not isinstance(document, dict):
        raise UnreadableText("the body is not a JSON object")
    if _is_too_deep(document):
        raise UnreadableText(f"the body is nested deeper than {DEPTH_LIMIT} levels")
    return document


def _is_too_deep(document: JsonObject) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_LIMIT):
        level = [
            value
            for node in level
            for value in (node.values() if type(node) is dict else node)
            if type(value) is dict or type(value) is list
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise UnreadableText("the body gives a key twice in one object")
    return document
