"""JSON as bytes, quick where it can be and exact where it must be. Both directions of a call go through here."""

import json
import re
from typing import Any

import orjson

from chandlery.model.wire import JsonObject
from chandlery.osb.faults import UnreadableText

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
        UnreadableText: not UTF-8, not JSON (a byte order mark or NaN included), or not an object.
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
    return document


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document
