"""What fields an object states, and in which fields two versions of it differ: the facts that ownership is made of.

Objects come in wire form, field sets leave as `field_sets` has them. Pure, and on the way of every write, so plain
recursion over dictionaries.
"""

from dataclasses import dataclass
from typing import Any, Final

from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.apply.field_sets import SELF, FieldSet
from chandlery_gateway.kube.apply.field_shapes import (
    FREE,
    Free,
    KeyedList,
    Map,
    SetList,
    Shape,
    Structure,
    item_key,
    value_key,
)

_MARK: Final[FieldSet] = {SELF: {}}
_COLLECTIONS: Final = (Map, KeyedList, SetList)

Children = dict[str, tuple[Any, Shape]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Roots of the fields that have a value of their own or another one than before, and of those that are gone."""

    changed: FieldSet
    removed: FieldSet

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.changed and not self.removed


def fields_stated(document: JsonObject, shape: Structure) -> FieldSet:
    """The root of what an applied configuration states: who applies it will own that."""
    return _owned(_fields(document, shape, marks=False))


def fields_made(document: JsonObject, shape: Structure) -> FieldSet:
    """The root of what comes to be with a new object: as `fields_stated`, and the maps and keyed lists themselves."""
    return _owned(_fields(document, shape, marks=True))


def _owned(fields: FieldSet) -> FieldSet:
    # Every object has metadata: whoever states nothing in it does not own it.
    if fields.get("f:metadata") == {}:
        del fields["f:metadata"]
    return fields


def compare(old: JsonObject, new: JsonObject, shape: Structure) -> Comparison:
    """In which fields of that shape the two differ."""
    changed, removed = _compare(old, new, shape)
    return Comparison(changed or {}, removed or {})


def children(value: Any, shape: Shape) -> Children | None:
    """The parts of a value that are owned one by one, by their keys in a field set; None if it is owned as a whole."""
    if isinstance(value, dict):
        match shape:
            case Structure():
                return _named(value, shape)
            case Free():
                return {f"f:{name}": (item, FREE) for name, item in value.items()}
            case Map():
                return {f"f:{name}": (item, shape.item) for name, item in value.items()}
    elif isinstance(value, list):
        match shape:
            case KeyedList():
                return _keyed(value, shape)
            case SetList() if all(isinstance(item, str) for item in value):
                return {value_key(item): (item, FREE) for item in value}
    return None


def _named(value: JsonObject, shape: Structure) -> Children:
    found: Children = {}
    for name, item in value.items():
        known = shape.fields.get(name)
        # Null is how clients write that a field is absent; and a map or keyed list without items is not there at all.
        if known is not None and item is not None and (item or not isinstance(known[1], _COLLECTIONS)):
            found[known[0]] = (item, known[1])
    return found


def _keyed(value: list[Any], shape: KeyedList) -> Children | None:
    found: Children = {}
    for item in value:
        key = item_key(shape, item)
        if key is None:
            return None
        found[key] = (item, shape.item)
    return found


def _fields(value: Any, shape: Shape, *, marks: bool) -> FieldSet:
    parts = children(value, shape)
    if not parts:
        return {}
    is_structure = isinstance(shape, Structure)
    node: FieldSet = {SELF: {}} if marks and not is_structure else {}
    for key, (item, inner) in parts.items():
        below = _fields(item, inner, marks=marks) if type(item) in (dict, list) else {}
        # An item of a map or list is somebody's as such; the named parts of an object are not.
        node[key] = below if is_structure or not below else {SELF: {}, **below}
    return node


def _compare(old: Any, new: Any, shape: Shape) -> tuple[FieldSet | None, FieldSet | None]:
    """The node of what changed and that of what went away; None is nothing, and an empty one the value itself."""
    if old == new and is_same(old, new):
        return None, None
    before, after = children(old, shape), children(new, shape)
    if before is None or after is None:
        return {}, None
    changed: FieldSet = {}
    removed: FieldSet = {}
    is_structure = isinstance(shape, Structure)
    for key, (item, inner) in after.items():
        if key not in before:
            node = _fields(item, inner, marks=True)
            changed[key] = node if is_structure or not node else {**_MARK, **node}
            continue
        now_different, now_gone = _compare(before[key][0], item, inner)
        if now_different is not None:
            changed[key] = now_different
        if now_gone is not None:
            removed[key] = now_gone
    for key, (item, inner) in before.items():
        if key not in after:
            removed[key] = {**_MARK, **_fields(item, inner, marks=True)}
    return changed or None, {key: {} if node == _MARK else node for key, node in removed.items()} or None


def is_same(old: Any, new: Any) -> bool:
    """Whether two values that Python calls equal are so in JSON too, where true is not 1."""
    match old:
        case bool():
            return isinstance(new, bool)
        case int() | float():
            return not isinstance(new, bool)
        case dict():
            return all(is_same(value, new[key]) for key, value in old.items())
        case list():
            return all(is_same(one, other) for one, other in zip(old, new, strict=True))
    return True
