"""JSON as text: the one place where the product reads and writes it, quick where it can be and exact where it must be.

Bodies of requests, answers of service brokers, rows of the database and lines of watches all pass through here, so that
a number which one of them takes is a number for all of them. Integers keep all their digits, whatever their size;
fractions are doubles, as they are in Kubernetes and in JavaScript.
"""

import json
import re
from typing import Any, Final

import orjson
from pydantic_core import from_json

from chandlery.model.faults import Fault

MOST_VALUES: Final = 10_000
"""In one object: objects, lists, texts, numbers and so on, at any depth; keys do not count."""
MOST_OWNED_VALUES: Final = 3 * MOST_VALUES
"""In what is known of who owns the fields of one object."""
MOST_SENT_VALUES: Final = 6 * MOST_VALUES
"""In one body: an object with all that is known of its owners, or the steps of a patch."""

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_VALUES = re.compile(_TEXT + rb"|(?P<next>,|[\[{](?!\s*+[\]}]))", re.DOTALL)


def has_more_values(text: bytes, most: int) -> bool:
    """Whether the JSON text has more values than so many; of what is no JSON, whether it looks like that."""
    # Those within texts are counted here as well, so it is only an upper bound; but it takes no time.
    if text.count(b",") + text.count(b"[") + text.count(b"{") < most:
        return False
    values = 1
    for match in _VALUES.finditer(text):
        values += match["next"] is not None
        if values > most:
            return True
    return False


MOST_DIGITS: Final = 1300
"""Of one integer: reading and writing it takes quadratic time. Keys of 4096 bits have 1234."""

_MOST_BITS_WRITTEN_AT_ONCE: Final = 64
_MOST_BITS: Final = 2_000_000
"""Of all integers beyond 64 bits: about 600,000 digits, which take a few milliseconds each time they are written."""
_LARGEST: Final = 10**MOST_DIGITS - 1
_DIGITS_BEYOND_64_BITS: Final = b"0" * 19
DIGITS_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_PLACE = re.compile(r"^(?P<problem>.*) at line (?P<line>\d+) column (?P<column>\d+)$", re.DOTALL)


TOO_LARGE: Final = f"a number in it is too large: integers may have {MOST_DIGITS} digits, fractions must fit a double"


class NotJson(Fault):
    """The text is not JSON.

    `problem` never quotes the text; `line` and `column` count from 1. `is_number` tells that all but a number of a size
    that cannot be kept would be fine.
    """

    def __init__(self, problem: str, *, line: int, column: int, is_number: bool = False) -> None:
        self.problem = problem
        self.line = line
        self.column = column
        self.is_number = is_number
        super().__init__(f"{problem} (line {line}, column {column})")


def read_json(text: bytes | str) -> Any:
    """The value that the text says, strictly by RFC 8259; of a key that comes twice the last value.

    Raises:
        NotJson: malformed, not UTF-8, NaN or half a character in it, too deep for the parser, an integer of more than
            1300 digits, or a fraction beyond what a double holds.
    """
    document, fault = None, None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = _fault(f"{error.msg} at line {error.lineno} column {error.colno}")
    if _has_long_number(text):
        # What is beyond 64 bits comes back as a float, or not at all.
        try:
            document, fault = from_json(text, allow_inf_nan=False), None
        except ValueError as error:
            fault = _fault(str(error))
        if fault is None and _has_unkeepable(document):
            fault = _fault("number out of range at line 1 column 1")
    if fault is not None:
        # Raised out here, so that the foreign error, which holds the whole text, is not carried along.
        raise fault
    return document


def read_written(text: bytes | str) -> Any:
    """What `write_json` has written, this release's or an older one's, without the rules for strangers' texts.

    Raises:
        NotJson: somebody else has written there.
    """
    try:
        return from_json(text)
    except ValueError as error:
        fault = _fault(str(error))
    raise fault


def write_json(value: Any, *, sort_keys: bool = False) -> bytes:
    """The value as compact UTF-8. Raises RecursionError beyond 254 levels, TypeError for what JSON has no form for."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError as error:
        if "ecursion" in str(error):
            raise RecursionError from None
        # orjson stops at 64 bits and at halves of characters; the standard library does not.
        return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys).encode("ascii")


def write_kept_json(value: Any) -> bytes:
    """The same for a text that is kept, in as much memory as it is long: orjson leaves up to seven times that."""
    return bytes(memoryview(write_json(value)))


def _has_long_number(text: bytes | str) -> bool:
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    return _DIGITS_BEYOND_64_BITS in raw.translate(DIGITS_TO_ZEROS)


def _has_unkeepable(document: Any) -> bool:
    """Whether there is a fraction so large that no double holds it, or integers of too many digits."""
    bits, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, float) and value - value != 0:
            return True
        elif isinstance(value, int) and value.bit_length() > _MOST_BITS_WRITTEN_AT_ONCE:
            bits += value.bit_length()
            if abs(value) > _LARGEST or bits > _MOST_BITS:
                return True
    return False


def _fault(said: str) -> NotJson:
    match = _PLACE.match(said)
    problem, line, column = match.group("problem", "line", "column") if match else (said, 1, 1)
    is_number = "infinity" in problem or "out of range" in problem
    if is_number:
        problem = TOO_LARGE
    return NotJson(problem, line=int(line), column=int(column), is_number=is_number)
