"""The names that somebody may have meant who wrote one that does not exist. Pure; for messages.

Used wherever a word is refused: classes and plans, parameters of URLs.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

from chandlery.model.text.clean_text import CUT, QUOTE_LONGEST

_ALIKE: Final = 0.6
"""What difflib takes for a close match."""
_MOST_COMPARED: Final = 1_000
_MOST_COMPARED_IN_FULL: Final = 12
_LONGEST_COMPARED: Final = 64


def nearest_names(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The names most like this one, the nearest first; none if none is like it. Capital letters make no difference."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name[:_LONGEST_COMPARED].casefold())
    ranked = list[tuple[float, str]]()
    for _, candidate in _promising(matcher, known):
        matcher.set_seq1(candidate[:_LONGEST_COMPARED].casefold())
        ratio = matcher.ratio()
        if ratio >= _ALIKE:
            ranked.append((-ratio, candidate))
    return [candidate for _, candidate in sorted(ranked)[:most]]


def _promising(matcher: "SequenceMatcher[str]", known: Iterable[str]) -> list[tuple[float, str]]:
    # Most names have nothing in common, which is cheap to tell. In full only a few are compared: somebody may have a
    # thousand names that are all alike, and others wait meanwhile.
    alike = list[tuple[float, str]]()
    for candidate in sorted(set(known))[:_MOST_COMPARED]:
        matcher.set_seq1(candidate[:_LONGEST_COMPARED].casefold())
        if matcher.real_quick_ratio() >= _ALIKE and (at_best := matcher.quick_ratio()) >= _ALIKE:
            alike.append((-at_best, candidate))
    return sorted(alike)[:_MOST_COMPARED_IN_FULL]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that does not exist: `; did you mean "small"?`, or nothing."""
    found = [f'"{each}"' for each in nearest_names(name, known)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """Names in a row, and how many more there are: `"a", "b" and 3 more`."""
    ordered = sorted(set(names))
    shown = ", ".join(f'"{_cut(each)}"' for each in ordered[:most])
    return f"{shown} and {len(ordered) - most} more" if len(ordered) > most else shown


def _cut(name: str) -> str:
    return name if len(name) <= QUOTE_LONGEST else name[:QUOTE_LONGEST] + CUT
