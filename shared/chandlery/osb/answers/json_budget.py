"""Counts what a JSON text would become before anything is made of it. `json_bodies.py` asks, unless bodies are small.

A service broker decides what it answers: 24 MB of empty arrays become more than a gigabyte of objects. Reading them
also holds the interpreter, and with it the event loop, for as long as no object ends: only then Python code runs that
lets other threads go on. So both are bounded: values in all, and values in a row without the end of an object.
"""

from collections.abc import Iterator
from typing import NamedTuple

from chandlery.osb.faults import TooManyValues

LONGEST_RUN = 20_000
"""Values without the end of an object between them: a few milliseconds in one piece."""

LONGEST_PART = 1 << 20
"""Bytes of one text, or between two texts: it is read in one piece too."""
LONGEST_STRETCH = 4 * LONGEST_PART
"""Bytes from the end of one object to that of the next."""

_PIECE = 1 << 16
_SHORT = 64
_MOST_KNOWN = 10_000


def require_within(text: bytes, *, values: int) -> None:
    """Raise TooManyValues if the text, valid or not, has more values and keys than that, or parts that are too long.

    Linear, in pieces of 64 KiB, and meant for a thread: 16 MiB take it about a second.
    """
    counted = run = latest_end = 0
    for start, piece in _counts(text):
        counted += piece.total
        longest = max(run + piece.first, piece.longest)
        run = piece.last if piece.has_end else run + piece.first
        if longest > LONGEST_RUN:
            raise TooManyValues(f"more than {LONGEST_RUN:,} values in a row, without the end of an object")
        if start - latest_end > LONGEST_STRETCH:
            raise TooManyValues(f"more than {LONGEST_STRETCH:,} bytes without the end of an object")
        if piece.has_end:
            latest_end = start
        if counted > values:
            raise TooManyValues(f"more than {values:,} values")


class _Count(NamedTuple):
    """Of a piece between two strings: values before its first `}`, after its last, in the longest part, and in all."""

    first: int
    last: int
    longest: int
    total: int
    has_end: bool


def _counts(text: bytes) -> Iterator[tuple[int, _Count]]:
    # Between the strings of real documents the same few pieces come again and again.
    known: dict[bytes, _Count] = {}
    for start, piece in _between_strings(text):
        found = known.get(piece)
        if found is None:
            found = _count(piece)
            if len(piece) < _SHORT and len(known) < _MOST_KNOWN:
                known[piece] = found
        yield start, found


def _count(piece: bytes) -> _Count:
    parts = [sum(map(part.count, (b",", b":", b"[", b"{"))) for part in piece.split(b"}")]
    return _Count(parts[0], parts[-1], max(parts), sum(parts), len(parts) > 1)


def _between_strings(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The pieces, each with its place."""
    position, length = 0, len(text)
    while position < length:
        quote = text.find(b'"', position)
        end = length if quote < 0 else quote
        if end - position > LONGEST_PART:
            raise TooManyValues(f"more than {LONGEST_PART:,} bytes without a text")
        for start in range(position, end, _PIECE):
            yield start, text[start : min(start + _PIECE, end)]
        position = length if quote < 0 else _end_of_string(text, quote + 1)


def _end_of_string(text: bytes, position: int) -> int:
    quote, latest = text.find(b'"', position), position + LONGEST_PART
    while quote >= 0 and position <= latest:
        escape = text.find(b"\\", position, quote)
        if escape < 0:
            break
        # What follows a backslash belongs to it, a quote or another backslash too.
        position = escape + 2
        if position > quote:
            quote = text.find(b'"', position)
    end = len(text) if quote < 0 else quote + 1
    if end > latest:
        raise TooManyValues(f"a text of more than {LONGEST_PART:,} bytes")
    return end
