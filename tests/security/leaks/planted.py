"""Values that are easy to recognise, and the search for them in whatever form a leak may have given them."""

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from urllib.parse import quote, quote_plus

_ODD: Final = '"ü&\\ <'
"""Ends most values: each encoding writes these in its own way."""
_LEAST: Final = 16
"""Characters that are looked for, so that nothing else can look like them."""


def new_value(name: str, *, odd: bool = True) -> str:
    """A value that is nowhere else; not `odd` where only letters and digits may be."""
    return f"{name}{secrets.token_hex(10)}{_ODD if odd else ''}"


def _hex(raw: bytes) -> list[str]:
    return [raw.hex(), raw.hex().upper()]


def _base64(raw: bytes) -> list[str]:
    """What surrounds a value shifts its digits: three shapes, without those that the neighbours decide."""
    shapes = []
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            whole = encode(b"\0" * shift + raw).decode().rstrip("=")
            shapes.append(whole[shift and shift + 1 : len(whole) - 1])
    return shapes


def _json(raw: bytes) -> list[str]:
    text = raw.decode()
    once = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    return [*once, *(json.dumps(each)[1:-1] for each in once)]


def _url(raw: bytes) -> list[str]:
    return [quote(raw, safe=""), quote_plus(raw), quote(raw, safe="").lower()]


FORMS: Final[dict[str, Callable[[bytes], list[str]]]] = {
    "plain": lambda raw: [raw.decode()],
    "base64": _base64,
    "base64 twice": lambda raw: [
        each for once in _base64(raw) for each in _base64(once.encode()) if len(each) > _LEAST
    ],
    "hex": _hex,
    "URL": _url,
    "JSON": _json,
}


@cache
def needles(value: str) -> tuple[str, ...]:
    """All forms of a value, and of what is left of it without its odd end."""
    core = value.removesuffix(_ODD)
    assert len(core) >= _LEAST, f"{core} could be found by chance"
    return tuple({each for text in (value, core) for form in FORMS.values() for each in form(text.encode())})


@dataclass
class Evidence:
    """Everything that was left behind, by where it was."""

    texts: dict[str, set[str]] = field(default_factory=dict)
    _together: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, place: str, content: object) -> None:
        """`place` begins with a word of PLACES."""
        self.texts.setdefault(place, set()).add(content if isinstance(content, str) else repr(content))

    @property
    def places(self) -> set[str]:
        return {place.partition(" ")[0] for place in self.texts}

    def where(self, value: str) -> Iterator[str]:
        """Each place that shows the value."""
        for place, contents in self.texts.items():
            # All of a place at once: there are thousands of texts, and a dozen forms of each value.
            if self._together.get(place, ("", 0))[1] != len(contents):
                self._together[place] = ("\0".join(contents), len(contents))
            if any(needle in self._together[place][0] for needle in needles(value)):
                yield place
