"""What a JSONPath template of Kubernetes consists of once it is read. Plain data; see `json_path_parsing.py`."""

from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import Fault

Constant = str | int | float | bool

LONGEST_SHOWN: Final = 60


class JsonPathFault(Fault):
    """A template cannot be read, or leads nowhere. The message shows words of the template, never a value."""


@dataclass(frozen=True, slots=True)
class Literal:
    """`"text"`, `2`, `true`: this, whatever came before."""

    value: Constant


@dataclass(frozen=True, slots=True)
class Key:
    """`.name` or `['name']`: the value of a key. An empty name is the object itself."""

    name: str
    path: tuple[str, ...] = ()
    """What `['a.b']` means to kubectl: the key b of the key a. Here it does where there is no key `a.b`."""


@dataclass(frozen=True, slots=True)
class Every:
    """`.*`: all values of an object or a list."""


@dataclass(frozen=True, slots=True)
class Descent:
    """`..`: the value itself and every object and list below it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """`[1]`, `[1:3]`, `[-2:]`, `[::2]`, `[*]`; `is_one` is the first of these."""

    start: int | None = None
    end: int | None = None
    step: int | None = None
    is_one: bool = False


@dataclass(frozen=True, slots=True)
class Union:
    """`[0,2]`, `['a','b']`: one after the other."""

    parts: "tuple[Path, ...]"


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(@.x==2)]`: the elements of a list for which it holds; without operator, those that have the left side."""

    left: "Path"
    operator: str = ""
    right: "Path" = ()


Step = Literal | Key | Every | Descent | Slice | Union | Filter
Path = tuple[Step, ...]
"""Each step goes on with all that the one before has found."""


@dataclass(frozen=True, slots=True)
class Range:
    """`{range .list[*]}…{end}`: what is between, once for each value that is found."""

    path: Path
    body: "Template"


Template = tuple[str | Path | Range, ...]
"""Texts, `{path}` and ranges, in order."""
