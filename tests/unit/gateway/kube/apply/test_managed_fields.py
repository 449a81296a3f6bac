"""Who owns what after ordinary writes, and what clients may say of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.model.objects.kinds import NAMESPACE, SECRET, SERVICE_BINDING, SERVICE_INSTANCE, Kind
from chandlery_gateway.kube.apply.managed_fields import (
    Author,
    before_first_apply,
    decode,
    encode,
    is_same_but_for_times,
    managed_fields_wire,
    on_create,
    on_update,
    read_sent,
)

Document = dict[str, Any]

V1BETA1 = "servicecatalog.k8s.io/v1beta1"
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2030, 1, 31, 13, tzinfo=UTC)
NAMES: Document = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}


def author(
    manager: str = "ann", *, kind: Kind = SERVICE_INSTANCE, subresource: str = "", now: datetime = NOON
) -> Author:
    return Author(manager=manager, kind=kind, subresource=subresource, now=now)


def instance(*, labels: Document | None = None, finalizers: list[str] | None = None, **spec: Any) -> Document:
    metadata: Document = {"name": "db", "uid": "1", "creationTimestamp": None, "resourceVersion": "7"}
    metadata |= {"labels": labels} if labels else {}
    metadata |= {"finalizers": finalizers} if finalizers else {}
    return {"apiVersion": V1BETA1, "kind": "ServiceInstance", "metadata": metadata, "spec": spec}


def owned(text: str | None) -> dict[str, Document]:
    """Manager (and operation, where it is Apply) -> fields."""
    listed = json.loads(text) if text else []
    return {f"{each['manager']}{'*' * (each['operation'] == 'Apply')}": each["fieldsV1"] for each in listed}


def updated(text: str | None, old: Document, new: Document, by: Author) -> str | None:
    return on_update(old, new, entries=decode(text), author=by)


def test_a_creator_owns_what_the_request_states() -> None:
    document = instance(
        labels={"team": "a"},
        finalizers=["example.com/wait"],
        **NAMES,
        parameters={"size": 1, "tags": ["x"], "net": {"name": "n", "empty": {}}},
        parametersFrom=[{"secretKeyRef": {"name": "a", "key": "b"}}],
        unknown=True,
        userInfo=None,
    )

    assert json.loads(on_create(document, author()) or "") == [
        {
            "manager": "ann",
            "operation": "Update",
            "apiVersion": V1BETA1,
            "time": "2030-01-31T12:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {
                    "f:labels": {".": {}, "f:team": {}},
                    "f:finalizers": {".": {}, 'v:"example.com/wait"': {}},
                },
                "f:spec": {
                    "f:clusterServiceClassExternalName": {},
                    "f:clusterServicePlanExternalName": {},
                    "f:parameters": {
                        ".": {},
                        "f:size": {},
                        "f:tags": {},
                        "f:net": {".": {}, "f:name": {}, "f:empty": {}},
                    },
                    "f:parametersFrom": {},
                },
            },
        }
    ]


def test_nobody_owns_what_identifies_an_object_or_its_status() -> None:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}, "status": {"phase": "Active"}}

    assert on_create(document, author(kind=NAMESPACE)) is None


def test_a_status_is_owned_apart_and_by_condition() -> None:
    by = author("controller", kind=SERVICE_BINDING, subresource="status")
    old: Document = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    new: Document = {
        "spec": {"secretName": "passed over"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Failed", "status": "False"}]},
    }
    text = updated(on_create({"metadata": {"labels": {"a": "b"}}}, author(kind=SERVICE_BINDING)), old, new, by)

    entry = next(each for each in json.loads(text or "") if each["manager"] == "controller")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {
        "f:status": {
            "f:conditions": {
                'k:{"type":"Ready"}': {"f:status": {}},
                'k:{"type":"Failed"}': {".": {}, "f:type": {}, "f:status": {}},
            }
        }
    }


def test_keys_of_a_secret_are_owned_one_by_one() -> None:
    document = {"metadata": {"name": "a"}, "data": {"user": "YQ==", "password": "Yg=="}, "type": "Opaque"}

    assert owned(on_create(document, author(kind=SECRET)))["ann"] == {
        "f:data": {".": {}, "f:user": {}, "f:password": {}},
        "f:type": {},
    }


@pytest.mark.parametrize(
    ("new", "ann", "bob"),
    [
        ({"parameters": {"a": 1, "b": 2}}, {".": {}, "f:a": {}, "f:b": {}}, None),
        ({"parameters": {"a": 3, "b": 2}}, {".": {}, "f:b": {}}, {"f:a": {}}),
        ({"parameters": {"a": True, "b": 2}}, {".": {}, "f:b": {}}, {"f:a": {}}),
        ({"parameters": {"a": 1}}, {".": {}, "f:a": {}}, None),
        ({"parameters": {"a": 1, "b": {"c": 1}}}, {".": {}, "f:a": {}}, {"f:b": {}}),
        (
            {"parameters": {"a": 1, "b": 2, "c": {"d": 1}}},
            {".": {}, "f:a": {}, "f:b": {}},
            {"f:c": {".": {}, "f:d": {}}},
        ),
        ({}, None, None),
    ],
    ids=["nothing", "a value", "true is not 1", "removal", "another type", "addition", "all of it"],
)
def test_a_change_moves_the_fields_that_it_touches(new: Document, ann: Document | None, bob: Document | None) -> None:
    old = instance(parameters={"a": 1, "b": 2})
    text = updated(on_create(old, author("ann")), old, instance(**new), author("bob", now=LATER))

    expected = {"ann": ann, "bob": bob}
    assert owned(text) == {
        name: {"f:spec": {"f:parameters": fields}} for name, fields in expected.items() if fields is not None
    }


def test_a_manager_gathers_what_it_changes() -> None:
    first = instance(parameters={"a": 1})
    second = instance(parameters={"a": 1, "b": 2})
    text = updated(on_create(first, author()), first, second, author(now=LATER))

    assert owned(text) == {"ann": {"f:spec": {"f:parameters": {".": {}, "f:a": {}, "f:b": {}}}}}
    assert json.loads(text or "")[0]["time"] == "2030-01-31T13:00:00Z"


def test_an_object_without_owners_stays_so() -> None:
    assert updated(None, instance(), instance(parameters={"a": 1}), author()) is None


def test_many_managers_become_one_entry() -> None:
    text, document = on_create(instance(parameters={"p": 0}), author("first")), instance(parameters={"p": 0})
    for number in range(20):
        changed = instance(parameters={**document["spec"]["parameters"], f"p{number}": number})
        moment = NOON.replace(minute=number)
        text = updated(text, document, changed, author(f"manager-{number:02}", now=moment))
        document = changed

    found = owned(text)
    assert len(found) == 10
    assert {"ancient-changes", "manager-19"} <= found.keys()
    assert "f:p3" in found["ancient-changes"]["f:spec"]["f:parameters"]
    assert set(updated(text, document, document, author()) or "") == set(text or "")


ENTRY = {
    "manager": "m",
    "operation": "Apply",
    "apiVersion": V1BETA1,
    "time": "2030-01-31T12:00:00Z",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:spec": {"f:parameters": {"f:a": {}}}},
}


def test_what_clients_send_back_is_taken() -> None:
    found = read_sent([ENTRY, {**ENTRY, "operation": "Update", "subresource": "status"}], api_version=V1BETA1)

    assert found is not None
    assert [each["operation"] for each in json.loads(encode(found.values()) or "")] == ["Apply", "Update"]


@pytest.mark.parametrize("forgotten", [[], [{}]], ids=str)
def test_owners_are_forgotten_on_request(forgotten: list[Document]) -> None:
    assert read_sent(forgotten, api_version=V1BETA1) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "text",
        {},
        [1],
        [{**ENTRY, "operation": "Guess"}],
        [{**ENTRY, "fieldsType": ""}],
        [{**ENTRY, "fieldsV1": {"a": {}}}],
        [{**ENTRY, "fieldsV1": 1}],
        [{**ENTRY, "time": "yesterday"}],
        [{**ENTRY, "manager": 1}],
        [{**ENTRY, "manager": "m" * 129}],
        [{**ENTRY, "apiVersion": ""}],
        [{**ENTRY, "apiVersion": "servicecatalog.k8s.io/v1"}],
        [{**ENTRY, "fieldsV1": {}}],
    ],
    ids=str,
)
def test_what_cannot_be_read_is_passed_over(wrong: Any) -> None:
    assert read_sent(wrong, api_version=V1BETA1) is None


def test_two_texts_may_differ_in_their_times_alone() -> None:
    first, second = on_create(instance(**NAMES), author()), on_create(instance(**NAMES), author(now=LATER))

    assert first != second
    assert is_same_but_for_times(first, second)
    assert not is_same_but_for_times(first, on_create(instance(**NAMES), author("bob")))
    assert not is_same_but_for_times(first, None)


def test_fields_without_an_owner_get_one_before_the_first_apply() -> None:
    found = before_first_apply(instance(**NAMES), author())

    assert [entry.manager for entry in found.values()] == ["before-first-apply"]


def test_a_long_text_is_read_too() -> None:
    text = on_create(instance(parameters={f"p{number}": 1 for number in range(5000)}), author()) or ""

    assert len(managed_fields_wire(text)[0]["fieldsV1"]["f:spec"]["f:parameters"]) == 5001
