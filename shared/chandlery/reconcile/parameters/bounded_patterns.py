"""Regular expressions from strangers: matched with an end, and left undecided where that cannot be had. Pure."""

import math
import sys
from dataclasses import dataclass
from itertools import count
from typing import Final

import regex

from chandlery.reconcile.parameters.cost_bounded_cache import CostBoundedCache

LONGEST_PATTERN: Final = 1_000
"""Characters of a pattern that is still looked at."""
LONGEST_TEXT: Final = 10_000
"""Characters of a text that patterns are still applied to."""
LARGEST_COMPILED: Final = 1 << 20
"""Bytes of a compiled pattern that is still used: a thousand times what `^[a-z0-9-]{1,63}$` takes."""
MOST_COMPILED: Final = 8 << 20
"""Bytes of all compiled patterns that are kept."""
_MOST_UNROLLED: Final = 15_000
_MOST_NOTED: Final = 1_000

_COUNTS = regex.compile(r"\{0*(\d{1,9})")
_COUNTED_GROUP = regex.compile(r"\)\{\d")
# Where blanks mean nothing, nobody can say what a count is. ECMA-262 has no such thing.
_VERBOSE = regex.compile(r"\(\?[A-Za-z0-9-]*x")


@dataclass(frozen=True)
class _CompiledPattern:
    """None for a pattern that is not applied."""

    pattern: regex.Pattern[str] | None = None


_NOT_APPLIED: Final = _CompiledPattern()
_kept: Final = CostBoundedCache[str, _CompiledPattern](MOST_COMPILED)
_compilations = count(1)


def finds(pattern: str, text: str, *, seconds: float) -> bool | None:
    """Whether the pattern matches anywhere in the text; None if that is not known.

    Not known are patterns that this engine does not read (JSON Schema means those of ECMA-262), that are too long or
    too large for it, or that take more than the given seconds of processor time: `(a+)+$` can keep any backtracking
    engine for days.
    """
    compiled = None if is_too_costly(pattern) else _kept.of(pattern, lambda: _compile(pattern)).pattern
    if compiled is None or len(text) > LONGEST_TEXT or seconds <= 0:
        return None
    try:
        return compiled.search(text, timeout=seconds) is not None
    except (TimeoutError, RecursionError, MemoryError):
        return None


def is_too_costly(pattern: str) -> bool:
    """Whether the pattern is too long to be applied, or would be once its counted repetitions are written out."""
    return len(pattern) > LONGEST_PATTERN or _unrolled(pattern) > _MOST_UNROLLED


def _compile(pattern: str) -> tuple[_CompiledPattern, int]:
    """The compiled pattern, and the bytes that it takes."""
    text_bytes = sys.getsizeof(pattern)
    if _VERBOSE.search(pattern):
        return _NOT_APPLIED, text_bytes
    try:
        # The library would keep the last 500, whatever their size, and a note about each that ever was.
        compiled = regex.compile(pattern, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError, ValueError):
        return _NOT_APPLIED, text_bytes
    finally:
        if next(_compilations) % _MOST_NOTED == 0:
            regex.purge()
    size = sys.getsizeof(compiled)
    return (_CompiledPattern(compiled), size + text_bytes) if size <= LARGEST_COMPILED else (_NOT_APPLIED, text_bytes)


def _unrolled(pattern: str) -> int:
    """About how long the pattern is when repetitions are written out, as this engine does when it compiles.

    It writes out as many as there have to be: all of `(x?){99000}`, none of `x{0,99000}`.
    """
    counts = [max(1, int(number)) for number in _COUNTS.findall(pattern)]
    if _COUNTED_GROUP.search(pattern):
        return len(pattern) * math.prod(counts)
    return len(pattern) + 5 * sum(counts)
