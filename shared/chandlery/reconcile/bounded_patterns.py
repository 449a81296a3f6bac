"""Regular expressions from strangers: matched with an end, and left undecided where that cannot be had. Pure."""

import math
from functools import lru_cache

import regex

LONGEST_PATTERN = 1_000
"""Characters of a pattern that is still looked at."""
LONGEST_TEXT = 10_000
"""Characters of a text that patterns are still applied to."""
_MOST_REPETITIONS = 100_000

_COUNTS = regex.compile(r"\{(\d{1,9})")
_COUNTED_GROUP = regex.compile(r"\)\{\d")


def finds(pattern: str, text: str, *, seconds: float) -> bool | None:
    """Whether the pattern matches anywhere in the text; None if that is not known.

    Not known are patterns that this engine does not read (JSON Schema means those of ECMA-262), that are too long for
    it, or that take more than the given seconds of processor time: `(a+)+$` can keep any backtracking engine for days.
    """
    compiled = _compiled(pattern)
    if compiled is None or len(text) > LONGEST_TEXT or seconds <= 0:
        return None
    try:
        return compiled.search(text, timeout=seconds) is not None
    except (TimeoutError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    if len(pattern) > LONGEST_PATTERN or _repetitions(pattern) > _MOST_REPETITIONS:
        return None
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError):
        return None


def _repetitions(pattern: str) -> int:
    """How often counted repetitions unroll: this engine writes literal ones out when it compiles."""
    counts = [int(count) for count in _COUNTS.findall(pattern)]
    return math.prod(counts) if _COUNTED_GROUP.search(pattern) else sum(counts)
