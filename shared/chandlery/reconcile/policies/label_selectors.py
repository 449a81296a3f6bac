"""The label-selector language: texts in, selectors out that match labels, fields or catalog properties.

Texts come from `labelSelector` queries (gateway) and from brokers' `catalogRestrictions` (gateway and syncer); field
selectors are made of the same terms. Grammar: Kubernetes' `apimachinery/pkg/labels`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from chandlery.model.text.clean_text import quoted

_TOKEN = re.compile(r"\s*(?:(?P<symbol>==|!=|[=!(),<>])|(?P<word>[^\s=!(),<>]+)|(?P<end>\Z))")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")


class Operator(StrEnum):
    """How a requirement compares. `==` is read as `=`."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER = ">"
    LESS = "<"


_NEGATIVE = frozenset({Operator.NOT_EQUALS, Operator.NOT_IN, Operator.DOES_NOT_EXIST})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector. As in Kubernetes, an absent key satisfies `!=` and `notin`."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether the mapping satisfies this term."""
        value = values.get(self.key)
        if value is None:
            return self.operator in _NEGATIVE
        match self.operator:
            case Operator.EQUALS | Operator.IN:
                return value in self.values
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS | Operator.DOES_NOT_EXIST:
                return self.operator is Operator.EXISTS
        if not _INTEGER.fullmatch(value):
            return False
        (bound,) = self.values
        return int(value) > int(bound) if self.operator is Operator.GREATER else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that must all hold; without terms it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether the labels (or the field values) satisfy every term."""
        return all(requirement.matches(values) for requirement in self.requirements)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are looked at, each once."""
        return tuple(dict.fromkeys(requirement.key for requirement in self.requirements))

    def required_equalities(self) -> dict[str, str]:
        """What must be equal to match, for use as a database condition. `matches` still decides."""
        single = (
            requirement
            for requirement in self.requirements
            if requirement.operator in (Operator.EQUALS, Operator.IN) and len(requirement.values) == 1
        )
        return {requirement.key: next(iter(requirement.values)) for requirement in single}


def parse_selector(text: str) -> Selector:
    """Reads the whole label-selector language; keys and values are not checked for being legal labels.

    Raises:
        ValueError: the text does not parse; the message says where and what was expected, for the user.
    """
    return _Parser(text).selector()


class _Parser:
    """Recursive descent over the tokens of one text; `_symbol` or `_word` is the token that comes next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self._advance()

    def selector(self) -> Selector:
        if self._at_end():
            return Selector()
        terms = [self._requirement()]
        while self._symbol == ",":
            self._advance()
            terms.append(self._requirement())
        if not self._at_end():
            self._fail("',' or the end")
        return Selector(tuple(terms))

    def _requirement(self) -> Requirement:
        if self._symbol == "!":
            self._advance()
            return Requirement(self._take_word("a key"), Operator.DOES_NOT_EXIST)
        key = self._take_word("a key")
        if self._at_end() or self._symbol == ",":
            return Requirement(key, Operator.EXISTS)
        if self._word in ("in", "notin"):
            operator = Operator(self._word)
            self._advance()
            return Requirement(key, operator, self._value_set())
        if self._symbol not in ("=", "==", "!=", ">", "<"):
            self._fail("one of =, ==, !=, in, notin, >, <")
        operator = Operator.EQUALS if self._symbol == "==" else Operator(self._symbol)
        self._advance()
        return Requirement(key, operator, frozenset({self._value(operator)}))

    def _value(self, operator: Operator) -> str:
        if operator in (Operator.GREATER, Operator.LESS):
            if not _INTEGER.fullmatch(self._word):
                self._fail("a whole number")
        elif self._at_end() or self._symbol == ",":
            return ""
        return self._take_word("a value")

    def _value_set(self) -> frozenset[str]:
        if self._symbol != "(":
            self._fail("'('")
        self._advance()
        if self._symbol == ")":
            self._fail("at least one value")
        values = {self._listed_value()}
        while self._symbol == ",":
            self._advance()
            values.add(self._listed_value())
        if self._symbol != ")":
            self._fail("',' or ')'")
        self._advance()
        return frozenset(values)

    def _listed_value(self) -> str:
        return "" if self._symbol in (",", ")") else self._take_word("a value")

    def _take_word(self, expected: str) -> str:
        if not self._word:
            self._fail(expected)
        word = self._word
        self._advance()
        return word

    def _at_end(self) -> bool:
        return not self._word and not self._symbol

    def _advance(self) -> None:
        # Every character belongs to some token, so there is always a match.
        match = _TOKEN.match(self._text, self._end)
        self._symbol = (match and match["symbol"]) or ""
        self._word = (match and match["word"]) or ""
        self._end = match.end() if match else len(self._text)

    def _fail(self, expected: str) -> NoReturn:
        found = self._symbol or self._word
        what = f"{quoted(found)} at position {self._end - len(found) + 1}" if found else "the end of the text"
        raise ValueError(f"unable to parse selector: found {what}, expected {expected}")
