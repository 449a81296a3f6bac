"""Sets of fields in the form of `fieldsV1`, and their algebra: what `metadata.managedFields` says of each manager.

A set is a tree of plain dictionaries, exactly as it stands in JSON. A key is `f:` and a field's name, `k:` and the keys
of a list's item, or `v:` and a value of a list that is a set. An empty node is a member; a node with children is one if
it also holds ".". Nodes that are neither members nor have any below them do not occur. Nothing here changes a set that
it is given: results share their parts with it. As sigs.k8s.io/structured-merge-diff does it, in fewer words.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

FieldSet: TypeAlias = dict[str, Any]
FieldPath: TypeAlias = tuple[str, ...]

SELF: Final = "."
_PREFIXES: Final = ("f:", "k:", "v:", "i:")


def is_member(node: FieldSet) -> bool:
    """Whether the node itself belongs to the set, and not only what is below it."""
    return not node or SELF in node


def union(first: FieldSet, second: FieldSet) -> FieldSet:
    """What is in either, of two nodes that exist; the root of an empty set has to be kept out by the caller."""
    if not first or not second:
        other = first or second
        return {SELF: {}, **other} if other else {}
    merged = dict(first)
    for key, node in second.items():
        merged[key] = union(merged[key], node) if key in merged and key != SELF else node
    return merged


def united(sets: "Iterator[FieldSet]") -> FieldSet:
    """What is in any of these roots; an empty root has nothing in it."""
    merged: FieldSet = {}
    for each in sets:
        merged = union(merged, each) if merged and each else merged or each
    return merged


def difference(first: FieldSet, second: FieldSet) -> FieldSet:
    """The root `first` without what is in the root `second`; a member of `second` takes along all that is below it."""
    left: FieldSet = {}
    for key, node in first.items():
        other = second.get(key)
        if other is None:
            left[key] = node
        elif is_member(other):
            continue
        elif not node:
            left[key] = node
        elif rest := difference(node, other):
            left[key] = rest
    # What is left of a node may be itself alone, which is written as an empty one.
    return {key: {} if set(node) == {SELF} else node for key, node in left.items()}


def intersection(first: FieldSet, second: FieldSet) -> FieldSet:
    """The members that both roots have."""
    shared: FieldSet = {}
    for key, node in first.items():
        other = second.get(key)
        if other is None or key == SELF:
            continue
        below = intersection(node, other)
        if is_member(node) and is_member(other):
            shared[key] = {SELF: {}, **below} if below else {}
        elif below:
            shared[key] = below
    return shared


def paths(fields: FieldSet, before: FieldPath = ()) -> Iterator[FieldPath]:
    """The members below a root: of each node first those that are its children, as Kubernetes lists them."""
    for key in sorted(fields):
        if key != SELF and is_member(fields[key]):
            yield (*before, key)
    for key in sorted(fields):
        if key != SELF:
            yield from paths(fields[key], (*before, key))


def has(fields: FieldSet, path: FieldPath) -> bool:
    """Whether the root has this member."""
    node: FieldSet | None = fields
    for key in path:
        node = node.get(key) if node is not None else None
    return node is not None and is_member(node)


def read_field_set(value: Any) -> FieldSet | None:
    """A root that somebody sent, in the form that this module works with; None if it is not one."""
    if not isinstance(value, dict):
        return None
    nodes: FieldSet = {}
    for key, below in value.items():
        if not isinstance(key, str) or (key != SELF and not key.startswith(_PREFIXES)):
            return None
        node = read_field_set(below)
        if node is None:
            return None
        nodes[key] = node
    # A node that is itself alone is written as an empty one.
    return {key: {} if set(node) == {SELF} else node for key, node in nodes.items()}
