"""Reads the whole JSONPath template language of Kubernetes, as in `kubectl get -o jsonpath`. Pure.

Source: the Kubernetes documentation of "JSONPath Support" and k8s.io/client-go/util/jsonpath. No library for Python has
this language: those for JSONPath (RFC 9535) know no templates, no `range`, no quoted texts, and other escapes.
Read when a binding is admitted and again when its Secret is written, in time that grows with the length.
"""

import re
import sys
from itertools import pairwise
from typing import Final, NoReturn

from chandlery.reconcile.json_path.json_path_nodes import (
    LONGEST_SHOWN,
    Descent,
    Every,
    Filter,
    JsonPathFault,
    Key,
    Literal,
    Path,
    Range,
    Slice,
    Step,
    Template,
    Union,
)

LONGEST_TEMPLATE: Final = 4_096
_DEEPEST_RANGES: Final = 8

_NAME = re.compile(r"(?:\\.|[^\\\s.,\[\]$@{}])*")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[+-]?\d[\d.]*")
_INTEGER = re.compile(r"[+-]?\d{1,15}")
_FLOAT = re.compile(r"[+-]?\d{1,15}\.\d{0,15}")
_QUOTED = re.compile(r"""'(?:[^'\\\n\r]|\\.)*'|"(?:[^"\\\n\r]|\\.)*\"""")
_INDEX = re.compile(r"(-?\d{0,9})(:-?\d{0,9})?(:-?\d{0,9})?")
_OPERATOR = re.compile(r"[!<>=]+")
_OPERATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_KEYWORD = re.compile(r" *(range|end)(?=[ }])")
_HALVES: Final = range(0xD800, 0xE000)
"""Of characters: no text of Unicode holds them."""
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def parse_template(text: str) -> Template:
    """The template, read. Raises JsonPathFault, with the column (from 1) of what cannot be read."""
    if len(text) > LONGEST_TEMPLATE:
        raise JsonPathFault(f"it may be at most {LONGEST_TEMPLATE} characters long, not {len(text)}")
    return _Reader(text).template()


class _Reader:
    """Goes through the text once, from left to right; parts of it (in brackets) are read by a reader of their own."""

    def __init__(self, text: str, *, begin: int = 0, end: int | None = None) -> None:
        self._text = text
        self._at = begin
        self._end = len(text) if end is None else end

    def template(self) -> Template:
        blocks: list[list[str | Path | Range]] = [[]]
        ranges: list[tuple[int, Path]] = []
        while self._at < self._end:
            brace = self._text.find("{", self._at)
            if brace != self._at:
                stop = self._end if brace < 0 else brace
                blocks[-1].append(self._text[self._at : stop])
                self._at = stop
                continue
            self._at += 1
            word = self._keyword()
            if word == "range":
                if len(ranges) == _DEEPEST_RANGES:
                    self._fail(brace, f"more than {_DEEPEST_RANGES} ranges are nested")
                ranges.append((brace, self.path()))
                blocks.append([])
            elif word == "end":
                if not ranges or self.path():
                    self._fail(brace, "{end} closes a {range}, but none is open here")
                body, (_, path) = tuple(blocks.pop()), ranges.pop()
                blocks[-1].append(Range(path, body))
            else:
                blocks[-1].append(self.path())
        if ranges:
            self._fail(ranges[-1][0], "{range} is not closed by {end}")
        return tuple(blocks[0])

    def path(self, *, is_part: bool = False) -> Path:
        """Steps up to the closing brace, or to the end of a part that stands in brackets."""
        begin, steps = self._at, list[Step]()
        while self._at < self._end:
            if self._text[self._at] == "}" and not is_part:
                self._at += 1
                return tuple(steps)
            step = self._step(steps)
            if step is not None:
                steps.append(step)
        if not is_part:
            self._fail(begin - 1, "the brace is not closed")
        return tuple(steps)

    def _step(self, before: list[Step]) -> Step | None:
        text, at = self._text, self._at
        if text.startswith("[?(", at):
            return self._filter()
        if text.startswith("..", at):
            if before and isinstance(before[-1], Descent):
                self._fail(at, "one '..' follows another")
            # What follows is a name without a dot of its own.
            self._at += 1 if _NAME.match(text, at + 2, self._end)[0] else 2  # type: ignore[index]
            return Descent()
        match text[at]:
            case " " | "@" | "$":
                self._at += 1
                return None
            case "[":
                return self._brackets()
            case '"' | "'":
                return Literal(_unescaped(self._matched(_QUOTED, "the quote is not closed")))
            case ".":
                self._at += 1
                name = self._matched(_NAME, "")
                return Every() if name == "*" else Key(name.replace("\\", ""))
        return self._constant()

    def _constant(self) -> Step:
        at = self._at
        if _NUMBER.match(self._text, at, self._end):
            number = self._matched(_NUMBER, "")
            if _INTEGER.fullmatch(number):
                return Literal(int(number))
            if _FLOAT.fullmatch(number):
                return Literal(float(number))
            self._fail(at, f"{number[:LONGEST_SHOWN]} is not a number that can be used here")
        word = _WORD.match(self._text, at, self._end)
        if word is None:
            self._fail(at, f"{self._text[at]!r} has no meaning here")
        if word[0] not in ("true", "false"):
            self._fail(at, f"{word[0][:LONGEST_SHOWN]!r} is not a path: paths begin with a dot, texts are quoted")
        self._at = word.end()
        return Literal(word[0] == "true")

    def _brackets(self) -> Step:
        begin, commas = self._at, []
        at = begin + 1
        while at < self._end and self._text[at] not in "]\n\r":
            if self._text[at] == ",":
                commas.append(at)
            at = self._behind_quote(at) or at + 1
        if at >= self._end or self._text[at] != "]":
            self._fail(begin, "the bracket is not closed")
        self._at = at + 1
        places = [begin, *commas, at]
        parts = [self._bracketed(one + 1, other) for one, other in pairwise(places)]
        return parts[0] if len(parts) == 1 else Union(tuple((part,) for part in parts))

    def _bracketed(self, begin: int, end: int) -> Step:
        inside = self._text[begin:end].strip(" ")
        if _QUOTED.fullmatch(inside):
            key = inside[1:-1]
            names = [name.replace("\\", "") for name in re.split(r"(?<!\\)\.", key)]
            return Key(key.replace("\\", ""), tuple(names) if len(names) > 1 else ())
        if inside == "*":
            return Slice()
        index = _INDEX.fullmatch(inside)
        if not inside or index is None:
            self._fail(begin, f"{inside[:LONGEST_SHOWN]!r} is neither a number, nor a slice, nor a name in quotes")
        start, stop, step = (_whole(part) for part in index.groups())
        if step is not None and step <= 0:
            self._fail(begin, "the step of a slice must be greater than 0")
        return Slice(start, stop, step, is_one=":" not in inside)

    def _filter(self) -> Filter:
        begin = self._at
        at, operator = begin + 3, None
        while at < self._end and self._text[at] not in ")\n\r":
            behind = self._behind_quote(at)
            found = None if behind or operator else _OPERATOR.match(self._text, at, self._end)
            operator = operator or found
            at = found.end() if found else behind or at + 1
        if not self._text.startswith(")]", at) or at + 2 > self._end:
            self._fail(begin, "the filter is not closed by )]")
        self._at = at + 2
        if operator is None:
            return Filter(self._part(begin + 3, at))
        if operator[0] not in _OPERATORS:
            self._fail(
                operator.start(),
                f"{operator[0][:LONGEST_SHOWN]!r} compares nothing: use {', '.join(sorted(_OPERATORS))}",
            )
        return Filter(self._part(begin + 3, operator.start()), operator[0], self._part(operator.end(), at))

    def _behind_quote(self, at: int) -> int | None:
        """The end of a quoted text that begins here, if one does; without an end it is refused: nobody looks twice."""
        if self._text[at] not in "'\"":
            return None
        quoted = _QUOTED.match(self._text, at, self._end)
        if quoted is None:
            self._fail(at, "the quote is not closed")
        return quoted.end()

    def _part(self, begin: int, end: int) -> Path:
        path = _Reader(self._text, begin=begin, end=end).path(is_part=True)
        if not path and "@" not in self._text[begin:end]:
            self._fail(begin, "one side of the filter is missing")
        return path

    def _keyword(self) -> str:
        word = _KEYWORD.match(self._text, self._at)
        if word is None:
            return ""
        self._at = word.end()
        return word[1]

    def _matched(self, pattern: re.Pattern[str], problem: str) -> str:
        found = pattern.match(self._text, self._at, self._end)
        if found is None:
            self._fail(self._at, problem)
        self._at = found.end()
        return found[0]

    def _fail(self, at: int, problem: str) -> NoReturn:
        raise JsonPathFault(f"column {at + 1}: {problem}")


def _whole(part: str | None) -> int | None:
    digits = (part or "").removeprefix(":")
    return int(digits) if digits not in ("", "-") else None


def _unescaped(quoted: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[5]:
            return _LETTERS.get(found[5], found[5])
        code = int(found[4], 8) if found[4] else int(found[1] or found[2] or found[3], 16)
        return chr(code) if code <= sys.maxunicode and code not in _HALVES else "\ufffd"

    return _ESCAPE.sub(character, quoted[1:-1])
