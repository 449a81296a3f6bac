"""The JSON object in the body of a service broker's answer, with the rules that only such bodies have."""

import json
from typing import Any

from chandlery.model.json_text import NotJson, read_json
from chandlery.model.wire import JsonObject
from chandlery.osb.faults import UnreadableText

DEPTH_LIMIT = 100
"""Objects and arrays within each other: what goes into the database has to come out again, and 200 do not."""


def read_object(text: bytes, *, unique_keys: bool = False) -> JsonObject:
    """Parse one JSON object. `unique_keys` refuses objects that give a key twice.

    Raises:
        UnreadableText: not JSON (a byte order mark or NaN included), with a number that cannot be kept, not an object,
            or nested too deeply.
    """
    try:
        document = read_json(text)
        if unique_keys:
            document = json.loads(text, object_pairs_hook=_unique)
    except NotJson as fault:
        why = f"the body is not valid JSON: {fault.problem}" if fault.is_number else "the body is not valid JSON"
        raise UnreadableText(why) from None
    except RecursionError:
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
