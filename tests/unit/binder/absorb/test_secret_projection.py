"""From credentials to Secret data: encodings, transforms, and what is refused with which words."""

import base64
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest

from chandlery.model.objects.bindings import SecretTransform, ServiceBinding
from chandlery_binder.secret.secret_projection import ProjectionFault, project, secret_name, secret_of, source_names
from tests.unit.binder.binding_builders import make_binding

OTHER = {"other": {"ca.crt": b"\x00\xff", "host": b"elsewhere"}}


def transformed(*steps: dict[str, Any]) -> ServiceBinding:
    return make_binding(spec={"secret_transforms": tuple(SecretTransform.model_validate(step) for step in steps)})


def plain(credentials: dict[str, Any], *steps: dict[str, Any]) -> dict[str, bytes]:
    data = project(credentials, transformed(*steps), OTHER)
    return {key: base64.b64decode(value) for key, value in data.items()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("se cret", b"se cret", id="text as it is"),
        pytest.param("", b"", id="empty text"),
        pytest.param("ünï", "ünï".encode(), id="text beyond ASCII"),
        pytest.param("{}", b"{}", id="text that looks like JSON"),
        pytest.param(5432, b"5432", id="number"),
        pytest.param(1.5, b"1.5", id="fraction"),
        pytest.param(12345678901234567890123, b"12345678901234567890123", id="number beyond 64 bits"),
        pytest.param(True, b"true", id="boolean"),
        pytest.param(None, b"null", id="null"),
        pytest.param(["a", 1], b'["a",1]', id="list"),
        pytest.param({"b": "ü", "a": None}, '{"a":null,"b":"ü"}'.encode(), id="object"),
    ],
)
def test_value_becomes_bytes(value: Any, text: bytes) -> None:
    assert plain({"key": value}) == {"key": text}


def test_no_credentials_make_an_empty_secret() -> None:
    assert project({}, make_binding(), {}) == {}


@pytest.mark.parametrize("key", ["", ".", "..", "..data", "a b", "a/b", "ключ", "k" * 254])
def test_key_that_no_secret_can_have_is_named(key: str) -> None:
    with pytest.raises(ProjectionFault, match="a Secret can have no key") as caught:
        project({key: "hunter2"}, make_binding(), {})
    assert "secretTransforms" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("key", ["a", "A.b_c-9", ".dot", "_", "k" * 253])
def test_key_that_a_secret_can_have_is_kept(key: str) -> None:
    assert plain({key: "v"}) == {key: b"v"}


def test_invalid_key_can_be_renamed() -> None:
    assert plain({"a b": "v"}, {"renameKey": {"from": "a b", "to": "a-b"}}) == {"a-b": b"v"}


def test_too_much_is_refused() -> None:
    with pytest.raises(ProjectionFault, match="larger than a Secret may be"):
        project({"a": "x" * 600_000, "b": "x" * 600_000}, make_binding(), {})


def doubling(steps: int) -> list[dict[str, Any]]:
    """Each adds a key that is twice as long as the one before."""
    names = ["a", *(f"k{number}" for number in range(steps))]
    return [{"addKey": {"key": new, "jsonPathExpression": f"{{.{old}}}{{.{old}}}"}} for old, new in pairwise(names)]


def test_steps_that_double_each_other_are_stopped_before_they_are_large() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProjectionFault, match=r"longer than|larger than a Secret may be"):
            plain({"a": "x" * 64}, *doubling(40))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 << 20


def test_steps_that_write_over_each_other_are_stopped_too() -> None:
    again = {"addKey": {"key": "x", "jsonPathExpression": "{.a}{.a}"}}
    assert len(plain({"a": "x" * 200_000}, *[again] * 10)["x"]) == 400_000
    with pytest.raises(ProjectionFault, match=r"longer than|write more than"):
        plain({"a": "x" * 200_000}, *[again] * 11)


def test_templates_of_all_steps_share_what_they_may_look_at() -> None:
    look = {"addKey": {"key": "x", "jsonPathExpression": "{range .list[*]}{end}"}}
    credentials = {"list": list(range(9_000))}
    assert plain(credentials, *[look] * 10)["x"] == b""
    with pytest.raises(
        ProjectionFault, match="visits more than 200000 values, including those of the templates before it"
    ):
        plain(credentials, *[look] * 12)


def test_key_that_is_left_out_makes_room() -> None:
    steps = [
        {"removeKey": {"key": "a"}},
        {"addKey": {"key": "c", "jsonPathExpression": "{.b}"}},
        {"renameKey": {"from": "c", "to": "b"}},
    ]
    assert plain({"a": "x" * 500_000, "b": "y" * 500_000}, *steps) == {"b": b"y" * 500_000}


def test_other_secrets_that_make_it_too_large_are_refused() -> None:
    step = {"addKeysFrom": {"secretRef": {"name": "other"}}}
    with pytest.raises(ProjectionFault, match='with the key "big", the credentials are larger than a Secret may be'):
        project({"a": "x" * 600_000}, transformed(step), {"other": {"big": b"x" * 600_000}})


def test_keys_that_no_secret_can_have_are_named_up_to_five() -> None:
    with pytest.raises(ProjectionFault, match=r"'a 004' and 995 more: keys consist of"):
        project(dict.fromkeys((f"a {number:03}" for number in range(1_000)), 1), make_binding(), {})


TRANSFORMS: list[Any] = [
    pytest.param([{"renameKey": {"from": "user", "to": "username"}}], {"username": b"u"}, id="rename"),
    pytest.param([{"renameKey": {"from": "nobody", "to": "x"}}], {"user": b"u"}, id="rename what is not there"),
    pytest.param([{"renameKey": {"from": "user", "to": "user"}}], {"user": b"u"}, id="rename to itself"),
    pytest.param([{"addKey": {"key": "x", "stringValue": "y"}}], {"user": b"u", "x": b"y"}, id="add text"),
    pytest.param([{"addKey": {"key": "x", "value": "AP8="}}], {"user": b"u", "x": b"\x00\xff"}, id="add bytes"),
    pytest.param([{"addKey": {"key": "user", "stringValue": "y"}}], {"user": b"y"}, id="add over what is there"),
    pytest.param([{"addKey": {"key": "x"}}], {"user": b"u", "x": b""}, id="add nothing"),
    pytest.param(
        [{"addKey": {"key": "x", "jsonPathExpression": "{.user}@"}}], {"user": b"u", "x": b"u@"}, id="add by path"
    ),
    pytest.param(
        [{"addKey": {"key": "x", "value": "AA==", "stringValue": "s", "jsonPathExpression": "{.user}"}}],
        {"user": b"u", "x": b"u"},
        id="path wins",
    ),
    pytest.param(
        [{"addKey": {"key": "x", "value": "AA==", "stringValue": "s"}}], {"user": b"u", "x": b"s"}, id="text wins"
    ),
    pytest.param(
        [{"addKeysFrom": {"secretRef": {"name": "other"}}}],
        {"user": b"u", "ca.crt": b"\x00\xff", "host": b"elsewhere"},
        id="add keys of another Secret",
    ),
    pytest.param(
        [
            {"addKeysFrom": {"secretRef": {"namespace": "ns", "name": "other"}}},
            {"addKey": {"key": "x", "jsonPathExpression": "{.host}"}},
            {"removeKey": {"key": "ca.crt"}},
        ],
        {"user": b"u", "host": b"elsewhere", "x": b"elsewhere"},
        id="path into another Secret",
    ),
    pytest.param([{"removeKey": {"key": "user"}}], {}, id="remove"),
    pytest.param([{"removeKey": {"key": "nobody"}}], {"user": b"u"}, id="remove what is not there"),
    pytest.param(
        [{"renameKey": {"from": "user", "to": "x"}}, {"removeKey": {"key": "user"}}], {"x": b"u"}, id="in order"
    ),
    pytest.param(
        [{"removeKey": {"key": "user"}}, {"renameKey": {"from": "user", "to": "x"}}], {}, id="in the other order"
    ),
    pytest.param(
        [{"removeKey": {"key": "user"}, "addKey": {"key": "x", "stringValue": "y"}}],
        {"user": b"u", "x": b"y"},
        id="first of two in one step",
    ),
]


@pytest.mark.parametrize(("steps", "expected"), TRANSFORMS)
def test_transforms_apply_in_order(steps: list[dict[str, Any]], expected: dict[str, bytes]) -> None:
    assert plain({"user": "u"}, *steps) == expected


def test_missing_source_is_waited_for() -> None:
    binding = transformed({"addKeysFrom": {"secretRef": {"name": "missing"}}})
    with pytest.raises(ProjectionFault, match='"ns/missing" of addKeysFrom does not exist') as caught:
        project({}, binding, {})
    assert caught.value.waiting_for == "secret:ns/missing"


def test_value_that_is_no_base64_is_refused_without_showing_it() -> None:
    with pytest.raises(ProjectionFault, match='the value for the key "x" is not base64') as caught:
        plain({}, {"addKey": {"key": "x", "value": "hunter2!"}})
    assert "hunter2" not in str(caught.value)


def test_path_that_leads_nowhere_names_its_key() -> None:
    with pytest.raises(ProjectionFault, match='the jsonPathExpression for the key "x" fails'):
        plain({"user": "u"}, {"addKey": {"key": "x", "jsonPathExpression": "{.password}"}})


def test_sources_come_from_the_own_namespace() -> None:
    own = transformed(
        {"addKeysFrom": {"secretRef": {"name": "one"}}},
        {"addKeysFrom": {"secretRef": {"namespace": "ns", "name": "two"}}},
    )
    assert source_names(own) == ["one", "two"]


def test_sources_of_other_namespaces_are_refused() -> None:
    foreign = transformed({"addKeysFrom": {"secretRef": {"namespace": "kube-system", "name": "admin"}}})
    with pytest.raises(ProjectionFault, match='own namespace "ns", not from "kube-system/admin"'):
        source_names(foreign)


def test_credentials_themselves_stay_as_they_are() -> None:
    credentials = {"user": "u"}
    plain(credentials, {"renameKey": {"from": "user", "to": "x"}})
    assert credentials == {"user": "u"}


def test_secret_belongs_to_its_binding() -> None:
    secret = secret_of(make_binding(), {"key": "dg=="})
    assert secret.to_wire() == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "knot",
            "namespace": "ns",
            "ownerReferences": [
                {
                    "apiVersion": "servicecatalog.k8s.io/v1beta1",
                    "kind": "ServiceBinding",
                    "name": "knot",
                    "uid": "b-uid",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": {"key": "dg=="},
        "type": "Opaque",
    }


def test_secret_has_the_name_that_the_binding_wants() -> None:
    assert secret_name(make_binding(spec={"secret_name": "mine"})) == "mine"
