"""The algebra of field sets, by table and by law."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery_gateway.kube.apply.field_sets import (
    FieldSet,
    difference,
    has,
    intersection,
    is_member,
    paths,
    read_field_set,
    union,
    united,
)

LEAF: FieldSet = {}
NAMES = st.sampled_from(["f:a", "f:b", "f:c", 'k:{"type":"Ready"}', 'v:"x"'])


def canonical(tree: Any) -> FieldSet:
    """A tree as `fieldsV1` has it, of one whose nodes say outright whether they are members."""
    node: FieldSet = {}
    for key, (is_one, below) in tree.items():
        inner = canonical(below)
        if inner:
            node[key] = {".": {}, **inner} if is_one else inner
        elif is_one:
            node[key] = {}
    return node


TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(NAMES, st.tuples(st.booleans(), inner), max_size=3), max_leaves=12
)
SETS = TREES.map(canonical)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"f:a": {}}, {"f:b": {}}, {"f:a": {}, "f:b": {}}),
        ({"f:a": {}}, {"f:a": {"f:b": {}}}, {"f:a": {".": {}, "f:b": {}}}),
        ({"f:a": {"f:b": {}}}, {"f:a": {".": {}, "f:c": {}}}, {"f:a": {".": {}, "f:b": {}, "f:c": {}}}),
    ],
    ids=["different fields", "a field and one below it", "fields below the same"],
)
def test_a_union_has_the_members_of_both(first: FieldSet, second: FieldSet, both: FieldSet) -> None:
    assert union(first, second) == both


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({"f:a": {}, "f:b": {}}, {"f:a": {}}, {"f:b": {}}),
        ({"f:a": {".": {}, "f:b": {}}}, {"f:a": {"f:b": {}}}, {"f:a": {}}),
        ({"f:a": {"f:b": {}}}, {"f:a": {"f:b": {}}}, {}),
        ({"f:a": {"f:b": {}}}, {"f:a": {}}, {}),
        ({"f:a": {}}, {"f:a": {"f:b": {}}}, {"f:a": {}}),
    ],
    ids=["other field", "child of a member", "all there is", "a parent takes its children along", "a child leaves it"],
)
def test_a_difference_takes_members_away(first: FieldSet, second: FieldSet, left: FieldSet) -> None:
    assert difference(first, second) == left


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({"f:a": {}, "f:b": {}}, {"f:a": {}}, {"f:a": {}}),
        ({"f:a": {".": {}, "f:b": {}}}, {"f:a": {"f:b": {}}}, {"f:a": {"f:b": {}}}),
        ({"f:a": {}}, {"f:a": {"f:b": {}}}, {}),
        ({"f:a": {".": {}, "f:b": {}}}, {"f:a": {".": {}, "f:c": {}}}, {"f:a": {}}),
    ],
)
def test_an_intersection_has_members_of_both_alone(first: FieldSet, second: FieldSet, shared: FieldSet) -> None:
    assert intersection(first, second) == shared


@given(SETS, SETS)
def test_sets_obey_the_laws_of_sets(first: FieldSet, second: FieldSet) -> None:
    before = json.dumps([first, second])
    ones, others = set(paths(first)), set(paths(second))

    assert set(paths(united(iter((first, second))))) == ones | others
    assert set(paths(intersection(first, second))) == ones & others
    left = set(paths(difference(first, second)))
    assert left <= ones - others
    # What is missing beyond that lies below a member of the second.
    for path in ones - others - left:
        assert any(path[:length] in others for length in range(1, len(path)))
    assert json.dumps([first, second]) == before


@given(SETS)
def test_what_is_computed_is_canonical(fields: FieldSet) -> None:
    for made in (united(iter((fields, fields))), intersection(fields, fields), difference(fields, {"f:z": {}})):
        assert made == fields
        assert read_field_set(made) == fields
    assert difference(fields, fields) == {}


@given(SETS)
def test_every_path_is_found_again(fields: FieldSet) -> None:
    assert all(has(fields, path) for path in paths(fields))
    assert not has(fields, ("f:z",))


@pytest.mark.parametrize("value", [None, [], "f:a", {"a": {}}, {"f:a": None}, {"f:a": {"b": {}}}, {"f:a": 1}])
def test_what_is_no_field_set_is_not_read(value: Any) -> None:
    assert read_field_set(value) is None


def test_a_node_that_is_itself_alone_is_read_as_an_empty_one() -> None:
    fields = read_field_set({"f:a": {".": {}}})

    assert fields == {"f:a": LEAF}
    assert is_member(fields["f:a"])
