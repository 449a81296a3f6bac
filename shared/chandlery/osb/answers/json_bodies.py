"""The JSON object in the body of a service broker's answer, with the rules that only such bodies have.

`answers_reading.py` asks. What is not small is counted first (`json_budget.py`) and read so that other threads go on.
"""

import json
import math
import re
from typing import Any

from chandlery.model.json.json_text import DIGITS_TO_ZEROS, MOST_DIGITS, TOO_LARGE, NotJson, read_json
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_text
from chandlery.osb.answers.json_budget import LONGEST_RUN, require_within
from chandlery.osb.faults import TooManyValues, UnreadableText
from chandlery.osb.transport.http_call import HttpReply

_LOOKED_AT = 4096
_SHOWN = 120
_TYPE_SHOWN = 60
_UNSEEN = re.compile(r"(?is)<(script|style)\b.*?(</\1\s*>|\Z)|<!--.*?(-->|\Z)|<[^>]*(>|\Z)")
_BLANKS = re.compile(r"\s+")


def told_of(reply: HttpReply, complaint: str, *, may_be_quoted: bool) -> str:
    """The complaint with the body's type and its first words; those only where it cannot hold credentials."""
    kind = clean_text((reply.content_type or "").partition(";")[0], longest=_TYPE_SHOWN)
    named = f"it is {kind}" if kind else "it has no content type"
    words = first_words(reply.body or b"") if may_be_quoted else ""
    return f'{complaint}: {named} and begins with "{words}"' if words else f"{complaint}: {named}"


def first_words(body: bytes) -> str:
    """The first words that people would see, without tags; cleaned and cut."""
    text = body[:_LOOKED_AT].decode(errors="replace")
    if text.lstrip().startswith("<"):
        text = _UNSEEN.sub(" ", text)
    return clean_text(_BLANKS.sub(" ", text), longest=_SHOWN)


DEPTH_LIMIT = 100
"""Objects and arrays within each other: what goes into the database has to come out again, and 200 do not."""

SMALL = 64 * 1024
"""Bytes of a text that is read at once, whatever is in it: that takes a few milliseconds."""

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_HIGH, _LOW, _BEYOND = 0xD800, 0xDC00, 0xE000


def read_large_object(text: bytes, *, values: int, unique_keys: bool = False) -> JsonObject:
    """`read_object` for texts of any size, in a thread: other threads go on meanwhile, and memory is bounded.

    Raises:
        UnreadableText: as there.
        TooManyValues: it has more than so many values, or more in one array or object than can be read in one go.
    """
    require_within(text, values=values)
    try:
        # Its own functions are called for each object, which is when other threads have their turn.
        document = json.loads(
            text.decode(),
            object_pairs_hook=_unique if unique_keys else _object,
            parse_constant=_refused,
            parse_int=_integer if b"0" * (MOST_DIGITS + 1) in text.translate(DIGITS_TO_ZEROS) else int,
            parse_float=_finite,
        )
        if _ESCAPED_SURROGATE.search(text) and _has_half_pair(text):
            raise ValueError("half a surrogate pair")
    except (ValueError, RecursionError):
        raise UnreadableText("the body is not valid JSON") from None
    return _checked(document)


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
    return _checked(document)


def _checked(document: Any) -> JsonObject:
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
    document = _object(pairs)
    if len(document) != len(pairs):
        raise UnreadableText("the body has a key twice in one object")
    return document


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    if len(pairs) > LONGEST_RUN:
        raise TooManyValues(f"more than {LONGEST_RUN:,} keys in one object")
    return dict(pairs)


def _refused(constant: str) -> Any:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise UnreadableText(f"the body is not valid JSON: {TOO_LARGE}")
    return value


def _integer(number: str) -> int:
    if len(number.lstrip("-")) > MOST_DIGITS:
        raise UnreadableText(f"the body is not valid JSON: {TOO_LARGE}")
    return int(number)


def _has_half_pair(text: bytes) -> bool:
    """Whether an escape stands for half a character, which no text can hold."""
    is_open, end = False, 0
    for escape in _ESCAPES.finditer(text):
        code = int(escape[1] or b"0", 16)
        is_low = _LOW <= code < _BEYOND
        if is_low != (is_open and escape.start() == end) or (is_open and not is_low):
            return True
        is_open, end = _HIGH <= code < _LOW, escape.end()
    return is_open
