"""What a JSONPath template of Kubernetes makes of a document. Pure; called by the binder's `secret_projection.py`.

As kubectl does it: several values of one path are joined by blanks, texts stand as they are, anything else as compact
JSON. A path that finds nothing is a fault; inside a filter it only does not match. Source: see `json_path_parsing.py`.
"""

import json
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

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

MOST_STEPS: Final = 200_000
"""Values that templates may come by: ranges within ranges, or `..` upon `..`, would have no end else."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Steps:
    """How many more values templates may come by; one for all templates that are rendered in one go."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, steps: int) -> None:
        """Raises JsonPathFault if there are not so many left."""
        self._left -= steps
        if self._left < 0:
            raise JsonPathFault(f"it visits more than {MOST_STEPS} values, including those of the templates before it")


def render(template: Template, document: Mapping[str, Any], *, most_characters: int, steps: Steps | None = None) -> str:
    """The text.

    Raises:
        JsonPathFault: a path leads to no value, or the text becomes too long, or takes more than the steps left.
    """
    rendering = _Rendering(most_characters, steps or Steps())
    rendering.write(template, document)
    return "".join(rendering.parts)


def json_text(value: Any) -> str:
    """How a value stands in a text: strings as they are, anything else as compact JSON with sorted keys."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


class _Rendering:
    """A text that grows, and what is left of its bounds."""

    def __init__(self, most_characters: int, steps: Steps) -> None:
        self.parts: list[str] = []
        self._most = self._room = most_characters
        self._spend = steps.spend

    def write(self, template: Template, current: Any) -> None:
        for node in template:
            if isinstance(node, str):
                self._put(node)
            elif isinstance(node, Range):
                for value in self._found(node.path, current):
                    self._spend(1)
                    self.write(node.body, value)
            else:
                for number, value in enumerate(self._found(node, current)):
                    self._put(f" {json_text(value)}" if number else json_text(value))

    def _put(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise JsonPathFault(f"the text becomes longer than {self._most} characters")
        self.parts.append(text)

    def _found(self, path: Path, current: Any) -> list[Any]:
        return self._all(path, [current])

    def _after(self, step: Step, found: list[Any]) -> list[Any]:
        match step:
            case Literal():
                return [step.value]
            case Key():
                return _of_key(step, found)
            case Every():
                return [below for value in found for below in _below(value)]
            case Descent():
                return list(self._descended(found))
            case Slice():
                return [element for value in found if value is not None for element in _sliced(step, value)]
            case Union():
                return [each for part in step.parts for each in self._all(part, found)]
            case Filter():
                return [element for value in found for element in self._filtered(step, value)]

    def _all(self, path: Path, found: list[Any]) -> list[Any]:
        for step in path:
            found = self._after(step, found)
            self._spend(len(found) + 1)
        return found

    def _descended(self, found: list[Any]) -> Iterable[Any]:
        waiting = found[::-1]
        while waiting:
            self._spend(1)
            value = waiting.pop()
            below = _below(value)
            if below:
                yield value
                waiting += below[::-1]

    def _filtered(self, step: Filter, value: Any) -> Iterable[Any]:
        if not isinstance(value, list):
            raise JsonPathFault("a filter is applied to something that is not a list")
        for element in value:
            self._spend(1)
            left = self._side(step.left, element)
            if not step.operator:
                if left:
                    yield element
                continue
            right = self._side(step.right, element)
            if len(left) > 1 or len(right) > 1:
                raise JsonPathFault("a filter compares two values, but one of its sides finds several")
            if left and right and _holds(step.operator, left[0], right[0]):
                yield element

    def _side(self, path: Path, element: Any) -> list[Any]:
        try:
            return self._found(path, element)
        except _NotThere:
            return []


class _NotThere(JsonPathFault):
    """A path leads nowhere."""


def _of_key(step: Key, found: list[Any]) -> list[Any]:
    if not step.name or not found:
        return found
    values = [value[step.name] for value in found if isinstance(value, dict) and step.name in value]
    if not values and step.path:
        for name in step.path:
            found = _of_key(Key(name), found)
        return found
    if not values:
        raise _NotThere(f'the key "{step.name[:LONGEST_SHOWN]}" does not exist')
    return values


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _sliced(step: Slice, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _NotThere("an element is requested of something that is not a list")
    length = len(value)
    start = step.start or 0
    start += length if start < 0 else 0
    if step.is_one:
        if not 0 <= start < length:
            raise _NotThere(f"the list has {length} elements, so it has no element [{step.start}]")
        return [value[start]]
    end = length if step.end is None else step.end
    end += length if end < 0 else 0
    if start == end:
        return []
    if not 0 <= start < length or not 0 <= end <= length or start > end:
        raise _NotThere(f"the list has {length} elements, fewer than the slice asks for")
    return value[start : end : step.step or 1]


def _holds(comparison: str, left: Any, right: Any) -> bool:
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        # kubectl compares none either; here it would take as long as somebody likes.
        raise JsonPathFault("a filter compares texts, numbers, true, false and null, not lists or objects")
    # To Python, 1 and true are equal; numbers are compared with numbers, texts with texts.
    is_alike = isinstance(left, bool) == isinstance(right, bool)
    try:
        return _COMPARISONS[comparison](left, right) if is_alike else comparison == "!="
    except TypeError:
        return False
