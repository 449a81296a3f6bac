"""JSON values made to be as dear as a body can be: as large as is read, or just small enough to be stored."""

import json
from collections.abc import Iterator
from itertools import count, islice
from typing import Final

from chandlery.model.json.json_text import MOST_VALUES
from chandlery_gateway.kube.body.bodies import MOST_BODY_BYTES
from chandlery_gateway.kube.body.decoding import MOST_OBJECT_BYTES

ROOM: Final = 4096
"""Bytes for all that is around such a value."""
_ROOM_VALUES: Final = 64

ITEMS: Final = {
    "empty lists": ("[]", 1),
    "empty objects": ("{}", 1),
    "small objects": ('{"a":1}', 2),
    "numbers": ("1", 1),
    "fractions": ("1.5e-7", 1),
    "long numbers": ("9" * 1300, 1),
    "numbers of 20 digits": ("9" * 20, 1),
    "empty texts": ('""', 1),
    "nulls": ("null", 1),
    "deep lists": ("[" * 90 + "]" * 90, 90),
}
"""Name -> what a list is filled with, and how many values that is."""
FIELDS: Final = {
    "keys": ("1", 1),
    "keys with nulls": ("null", 1),
    "keys with objects": ('{"a":[1]}', 3),
}
"""The same for objects, with a key for each."""
TEXTS: Final = {
    "a text": "x",
    "a text of commas": ",",
    "a text of escapes": "\\n",
    "a text of quotes": '\\"',
    "a text of unicode": "\\u00e9",
}
NAMES: Final = (*ITEMS, *FIELDS, *TEXTS, "one key again", "blanks")


def hostile(name: str, *, size: int, values: int = 10_000_000) -> str:
    """One JSON value of about so many bytes, or as many as it has when it has so many values."""
    if name in ITEMS:
        item, each = ITEMS[name]
        return f"[{_joined(iter(lambda: item, None), size=size, most=values // each)}]"
    if name in FIELDS:
        item, each = FIELDS[name]
        return "{" + _joined((f'"{number}":{item}' for number in count()), size=size, most=values // each) + "}"
    if name in TEXTS:
        return f'"{TEXTS[name] * (size // len(TEXTS[name]))}"'
    if name == "one key again":
        return "{" + _joined(iter(lambda: '"a":1', None), size=size, most=values) + "}"
    return "[" + " " * size + "]"


def largest_body(name: str) -> str:
    """As many bytes as are read at all."""
    return hostile(name, size=MOST_BODY_BYTES - ROOM)


def largest_object(name: str) -> str:
    """As much as may be stored."""
    return hostile(name, size=MOST_OBJECT_BYTES - ROOM, values=MOST_VALUES - _ROOM_VALUES)


def within(document: object, value: str) -> bytes:
    """The document as JSON, with the value for its text HERE."""
    return json.dumps(document).replace('"HERE"', value).encode()


def _joined(items: Iterator[str], *, size: int, most: int) -> str:
    taken, length = [], 0
    for item in islice(items, most):
        length += len(item) + 1
        if length > size:
            break
        taken.append(item)
    return ",".join(taken)
