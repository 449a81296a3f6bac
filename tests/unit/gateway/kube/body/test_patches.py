import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.model.faults import BadRequest, Fault, Invalid
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.patch.patches import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, apply_patch
from chandlery_gateway.kube.query.negotiation import UnsupportedMediaType

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~-0", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~-0", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def secret() -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "a",
            "finalizers": ["x", "y"],
            "ownerReferences": [{"uid": "1", "name": "o"}, {"uid": "2", "name": "p"}],
        },
        "data": {"k": "v"},
    }


def patched(patch: object, media: str, *, current: JsonObject | None = None) -> JsonObject:
    before = current if current is not None else secret()
    kept = orjson.dumps(before)
    try:
        return apply_patch(before, orjson.dumps(patch), media)
    finally:
        assert orjson.dumps(before) == kept


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_examples_of_rfc_7386(
    target: JsonObject, patch: JsonObject, result: JsonObject
) -> None:
    assert patched(patch, MERGE_PATCH, current=target) == result


def test_json_patch_applies_operations_in_order() -> None:
    operations = [
        {"op": "test", "path": "/data/k", "value": "v"},
        {"op": "add", "path": "/data/n", "value": "w"},
        {"op": "move", "from": "/data/k", "path": "/data/m"},
        {"op": "add", "path": "/metadata/finalizers/-", "value": "z"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]
    result = patched(operations, JSON_PATCH)
    assert result["data"] == {"n": "w", "m": "v"}
    assert result["metadata"]["finalizers"] == ["y", "z"]


@pytest.mark.parametrize(
    ("operation", "fault", "message"),
    [
        ({"op": "test", "path": "/data/k", "value": "zzz"}, Invalid, "differs from the tested one"),
        ({"op": "remove", "path": "/data/nope"}, Invalid, "no such path"),
        ({"op": "replace", "path": "/data/nope", "value": 1}, Invalid, "no such path"),
        ({"op": "add", "path": "/metadata/finalizers/9", "value": "x"}, Invalid, "no such path"),
        ({"op": "add", "path": "/data/k/x", "value": "x"}, Invalid, "no such path"),
        ({"op": "copy", "from": "/nope", "path": "/x"}, Invalid, "no such path"),
        ({"op": "replace", "path": "", "value": []}, Invalid, "turns the object into a list"),
        ({"op": "frob", "path": "/x"}, BadRequest, "known `op`"),
        ({"op": "add", "path": "/x"}, BadRequest, "must have `value`"),
        ({"op": "move", "path": "/x"}, BadRequest, "must have `from`"),
        ({"op": "add", "path": "x", "value": 1}, BadRequest, "JSON pointers"),
        ({"op": "add", "value": 1}, BadRequest, "`path`"),
        (5, BadRequest, "must be an object"),
    ],
)
def test_json_patch_refuses_what_cannot_be_applied(operation: object, fault: type[Fault], message: str) -> None:
    with pytest.raises(fault, match=f"operation 2 .*{message}|{message}") as caught:
        patched([{"op": "test", "path": "/kind", "value": "Secret"}, operation], JSON_PATCH)
    assert "zzz" not in str(caught.value)
    if isinstance(caught.value, Invalid):
        assert [problem.field for problem in caught.value.problems] == ["patch"]


def test_json_patch_refuses_copies_that_grow_without_bound() -> None:
    first = {"op": "add", "path": "/data/big", "value": {"a": "x" * 1000}}
    doubling = [{"op": "copy", "from": "/data/big", "path": f"/data/big/c{number}"} for number in range(40)]
    with pytest.raises(Invalid, match="grow beyond"):
        patched([first, *doubling], JSON_PATCH)


def test_json_patch_must_be_a_list() -> None:
    with pytest.raises(BadRequest, match="must be a list"):
        patched({"op": "add"}, JSON_PATCH)


@given(
    document=st.dictionaries(st.text("ab", max_size=2), JSON_VALUES, max_size=3),
    operations=st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
                "path": st.text("/ab-01~", max_size=6),
            },
            optional={"from": st.text("/ab-01~", max_size=6), "value": JSON_VALUES},
        ),
        max_size=4,
    ),
)
def test_json_patch_ends_in_an_object_or_a_fault(document: JsonObject, operations: list[JsonObject]) -> None:
    try:
        result = patched(operations, JSON_PATCH, current=document)
    except (Invalid, BadRequest):
        return
    assert isinstance(result, dict)


def test_strategic_merge_patch_merges_owners_by_uid_and_finalizers_as_a_set() -> None:
    patch = {
        "metadata": {
            "finalizers": ["z", "y"],
            "ownerReferences": [
                {"uid": "2", "name": "new"},
                {"uid": "3", "name": "q"},
                {"uid": "1", "$patch": "delete"},
            ],
        },
        "data": {"k": None, "n": "w"},
    }
    result = patched(patch, STRATEGIC_MERGE_PATCH)
    assert result["metadata"]["finalizers"] == ["x", "y", "z"]
    assert result["metadata"]["ownerReferences"] == [{"uid": "2", "name": "new"}, {"uid": "3", "name": "q"}]
    assert result["data"] == {"n": "w"}


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({"data": {"$patch": "replace", "n": "w"}}, {"n": "w"}),
        ({"data": {"$patch": "delete"}}, None),
        ({"data": {"$patch": "merge", "n": "w"}}, {"k": "v", "n": "w"}),
        ({"data": {"$retainKeys": ["n"], "n": "w"}}, {"n": "w"}),
        ({"$retainKeys": ["metadata"]}, None),
    ],
)
def test_strategic_merge_patch_obeys_directives_on_objects(patch: JsonObject, data: JsonObject | None) -> None:
    assert patched(patch, STRATEGIC_MERGE_PATCH).get("data") == data


def test_strategic_merge_patch_obeys_directives_on_lists() -> None:
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["x"],
            "$setElementOrder/finalizers": ["z", "y"],
            "$setElementOrder/ownerReferences": [{"uid": "2"}, {"uid": "1"}],
            "finalizers": ["z"],
        }
    }
    metadata = patched(patch, STRATEGIC_MERGE_PATCH)["metadata"]
    assert metadata["finalizers"] == ["z", "y"]
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == ["2", "1"]


def test_strategic_merge_patch_replaces_a_list_of_objects_when_told_so() -> None:
    patch = {"metadata": {"ownerReferences": [{"$patch": "replace"}, {"uid": "9"}]}}
    assert patched(patch, STRATEGIC_MERGE_PATCH)["metadata"]["ownerReferences"] == [{"uid": "9"}]


@pytest.mark.parametrize(
    "patch",
    [
        {"$patch": "explode"},
        {"metadata": {"ownerReferences": [{"name": "no uid"}]}},
        {"metadata": {"ownerReferences": [5]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}},
    ],
)
def test_strategic_merge_patch_refuses_malformed_directives(patch: JsonObject) -> None:
    with pytest.raises(BadRequest):
        patched(patch, STRATEGIC_MERGE_PATCH)


@pytest.mark.parametrize(
    ("media", "api_version", "message"),
    [
        (STRATEGIC_MERGE_PATCH, "servicecatalog.k8s.io/v1beta1", "--type merge"),
        ("application/apply-patch+cbor", "v1", "application/apply-patch"),
        ("application/json", "v1", "application/merge-patch"),
    ],
)
def test_patch_of_another_type_is_refused_with_the_way_on(media: str, api_version: str, message: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=message):
        patched({}, media, current={"apiVersion": api_version})


@pytest.mark.parametrize("media", [MERGE_PATCH, STRATEGIC_MERGE_PATCH, JSON_PATCH])
@pytest.mark.parametrize("payload", [b"{", b"5", b'{"a":' * 500 + b"1" + b"}" * 500, b"[" * 500 + b"]" * 500])
def test_malformed_patches_are_bad_requests(payload: bytes, media: str) -> None:
    with pytest.raises(BadRequest):
        apply_patch(secret(), payload, media)
