"""Server-side apply as a function: an object, its owners and a configuration give the next object and its owners."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.model.faults import BadRequest
from chandlery.model.objects.kinds import SECRET, SERVICE_BINDING, SERVICE_INSTANCE, Kind
from chandlery_gateway.kube.apply.apply_conflicts import ApplyConflict
from chandlery_gateway.kube.apply.managed_fields import Author, decode, on_create, on_update, with_data
from chandlery_gateway.kube.apply.server_side_apply import (
    LAST_APPLIED,
    Applied,
    applied,
    first_applied,
    parse_configuration,
)

Document = dict[str, Any]

V1BETA1 = "servicecatalog.k8s.io/v1beta1"
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2030, 1, 31, 13, tzinfo=UTC)


def author(manager: str, *, kind: Kind = SERVICE_INSTANCE, subresource: str = "", now: datetime = NOON) -> Author:
    return Author(manager=manager, kind=kind, subresource=subresource, now=now)


def instance(*, metadata: Document | None = None, **spec: Any) -> Document:
    document: Document = {"apiVersion": V1BETA1, "kind": "ServiceInstance", "metadata": {"name": "db"}}
    document["metadata"] |= metadata or {}
    return {**document, "spec": spec} if spec else document


def made(document: Document, by: Author) -> Applied:
    """An object that a plain create has made."""
    return Applied(document, on_create(document, by))


def then(before: Applied, config: Document, by: Author, *, force: bool = False) -> Applied:
    return applied(before.document, before.managed_fields, config, by, force=force)


def owned(outcome: Applied) -> dict[str, Document]:
    """Manager and operation -> fields."""
    listed = json.loads(outcome.managed_fields or "[]")
    return {f"{each['manager']} {each['operation']}": each["fieldsV1"] for each in listed}


def parameters(outcome: Applied) -> Any:
    return outcome.document.get("spec", {}).get("parameters")


def test_an_applier_owns_what_it_states_and_nothing_else() -> None:
    config = instance(metadata={"labels": {"a": "b"}}, parameters={"size": 1, "net": {"name": "n"}, "tags": ["x"]})

    assert json.loads(first_applied(config, author("ann")) or "")[0] == {
        "manager": "ann",
        "operation": "Apply",
        "apiVersion": V1BETA1,
        "time": "2030-01-31T12:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:parameters": {"f:size": {}, "f:net": {".": {}, "f:name": {}}, "f:tags": {}}},
        },
    }


def test_a_field_of_another_manager_is_a_conflict() -> None:
    live = made(instance(parameters={"size": 1}), author("kubectl-client-side-apply"))

    with pytest.raises(ApplyConflict) as caught:
        then(live, instance(parameters={"size": 2}), author("ann"))

    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using servicecatalog.k8s.io/v1beta1: '
        ".spec.parameters.size"
    )
    assert caught.value.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" using servicecatalog.k8s.io/v1beta1',
            "field": ".spec.parameters.size",
        }
    ]


def test_several_conflicts_are_told_by_manager() -> None:
    live = made(instance(planName="p"), author("zoe"))
    live = then(live, instance(parameters={"a": 1, "b": 1}), author("bob"))

    with pytest.raises(ApplyConflict) as caught:
        then(live, instance(planName="q", parameters={"a": 2, "b": 2, "c": 2}), author("ann"))

    assert caught.value.message == (
        'Apply failed with 3 conflicts: conflicts with "bob":\n- .spec.parameters.a\n- .spec.parameters.b\n'
        'conflicts with "zoe" using servicecatalog.k8s.io/v1beta1:\n- .spec.planName'
    )


def test_a_condition_is_told_by_its_type_and_subresource() -> None:
    old: Document = {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    controller = author("controller", kind=SERVICE_BINDING, subresource="status")
    live = made(old, controller)
    config = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}

    with pytest.raises(ApplyConflict) as caught:
        then(live, config, author("ann", kind=SERVICE_BINDING, subresource="status"))

    assert caught.value.conflicts[0].owner == f'"controller" with subresource "status" using {V1BETA1}'
    assert caught.value.conflicts[0].field == '.status.conditions[type="Ready"].status'


def test_force_takes_the_field() -> None:
    live = made(instance(parameters={"size": 1, "rest": 1}), author("bob"))
    after = then(live, instance(parameters={"size": 2}), author("ann"), force=True)

    assert parameters(after) == {"size": 2, "rest": 1}
    assert owned(after) == {
        "ann Apply": {"f:spec": {"f:parameters": {"f:size": {}}}},
        "bob Update": {"f:spec": {"f:parameters": {".": {}, "f:rest": {}}}},
    }


def test_an_equal_value_is_owned_together() -> None:
    live = made(instance(parameters={"size": 1}), author("bob"))
    shared = then(live, instance(parameters={"size": 1}), author("ann"))

    assert set(owned(shared)) == {"ann Apply", "bob Update"}
    released = then(shared, instance(), author("ann"))
    assert parameters(released) == {"size": 1}
    assert set(owned(released)) == {"bob Update"}


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"z": 1}, {"z": 1}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {}}, {"z": 1}, {"z": 1}),
        ({"a": 1}, {}, {}),
        ({"a": 1}, None, None),
        ({"a": None, "b": 1}, {"b": 1}, {"b": 1}),
    ],
    ids=["a key", "deeper", "a whole branch", "in a list", "an empty map", "all keys", "the field", "a null"],
)
def test_what_is_no_longer_stated_goes(first: Document, second: Document | None, left: Document | None) -> None:
    config = instance(planName="p", parameters=first)
    live = Applied(config, first_applied(config, author("ann")))
    after = then(live, instance(planName="p", **({} if second is None else {"parameters": second})), author("ann"))

    assert parameters(after) == left
    assert after.document["spec"]["planName"] == "p"


def test_what_somebody_else_owns_stays() -> None:
    config = instance(parameters={"mine": 1, "net": {"mine": 1}})
    live = Applied(config, first_applied(config, author("ann")))
    changed = instance(parameters={"mine": 1, "net": {"mine": 1, "theirs": 1}})
    text = on_update(live.document, changed, entries=decode(live.managed_fields), author=author("bob"))
    after = then(Applied(changed, text), instance(planName="p"), author("ann"))

    assert parameters(after) == {"net": {"theirs": 1}}


def test_items_of_keyed_lists_and_sets_are_added_and_taken_away() -> None:
    def owner(uid: str) -> Document:
        return {"apiVersion": "v1", "kind": "Secret", "name": f"name-{uid}", "uid": uid}

    live = made(instance(metadata={"finalizers": ["a.com/x"], "ownerReferences": [owner("1")]}), author("bob"))
    config = instance(metadata={"finalizers": ["a.com/y"], "ownerReferences": [owner("2"), owner("1")]})
    both = then(live, config, author("ann"))
    assert both.document["metadata"]["finalizers"] == ["a.com/x", "a.com/y"]
    assert [each["uid"] for each in both.document["metadata"]["ownerReferences"]] == ["1", "2"]

    after = then(both, instance(), author("ann"))
    assert after.document["metadata"]["finalizers"] == ["a.com/x"]
    assert [each["uid"] for each in after.document["metadata"]["ownerReferences"]] == ["1"]


def test_an_object_that_nobody_owns_is_not_overwritten() -> None:
    live = Applied(instance(parameters={"size": 1}), None)

    with pytest.raises(ApplyConflict, match="before-first-apply"):
        then(live, instance(parameters={"size": 2}), author("ann"))
    assert set(owned(then(live, instance(parameters={"more": 1}), author("ann")))) == {
        "ann Apply",
        "before-first-apply Update",
    }


def test_kubectl_takes_over_what_client_side_apply_set() -> None:
    manifest = instance(parameters={"size": 1, "color": "red"})
    annotations = {LAST_APPLIED: json.dumps(manifest), "note": "n"}
    live = made(
        {**manifest, "metadata": {"name": "db", "annotations": annotations}}, author("kubectl-client-side-apply")
    )
    config = instance(metadata={"annotations": {"note": "n"}}, parameters={"size": 2, "color": "red"})

    with pytest.raises(ApplyConflict):
        then(live, config, author("argocd"))
    after = then(live, config, author("kubectl"))
    assert json.loads(after.document["metadata"]["annotations"][LAST_APPLIED]) == config
    somebody = instance(metadata={"annotations": annotations}, parameters={"size": 9, "color": "red"})
    text = on_update(live.document, somebody, entries=decode(live.managed_fields), author=author("bob"))
    with pytest.raises(ApplyConflict, match="bob"):
        then(Applied(somebody, text), config, author("kubectl"))


def test_keys_of_a_secret_are_applied_one_by_one() -> None:
    live = made({"metadata": {"name": "s"}, "data": {"a": "YQ=="}, "type": "Opaque"}, author("bob", kind=SECRET))
    config = with_data({"metadata": {"name": "s"}, "stringData": {"b": "b"}})
    after = then(live, config, author("ann", kind=SECRET))

    assert after.document["data"] == {"a": "YQ==", "b": "Yg=="}
    assert owned(after)["ann Apply"] == {"f:data": {"f:b": {}}}


KEYS = st.sampled_from("abc")
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 2), st.just("x"), st.lists(st.integers(0, 1), max_size=2)),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(KEYS, VALUES, max_size=3)


def configured(values: Document) -> Document:
    return instance(planName="p", parameters=values)


@given(PARAMETERS, PARAMETERS)
def test_applying_again_changes_nothing(before: Document, values: Document) -> None:
    once = then(made(configured(before), author("bob")), configured(values), author("ann"), force=True)
    again = then(once, configured(values), author("ann", now=LATER))

    assert again == once


@given(PARAMETERS, PARAMETERS)
def test_what_is_forced_stands_in_the_object(before: Document, values: Document) -> None:
    after = then(made(configured(before), author("bob")), configured(values), author("ann"), force=True)

    def stands(stated: Any, found: Any) -> bool:
        if isinstance(stated, dict):
            return isinstance(found, dict) and all(stands(item, found.get(key)) for key, item in stated.items())
        return json.dumps(stated) == json.dumps(found)

    assert stands(values, parameters(after))


@given(PARAMETERS, PARAMETERS)
def test_appliers_of_different_fields_never_meet(first: Document, second: Document) -> None:
    mine, theirs = instance(parameters={"mine": first}), instance(parameters={"theirs": second})
    live = Applied(mine, first_applied(mine, author("ann")))
    both = then(live, theirs, author("bob"))
    alone = then(both, instance(), author("ann"))

    assert parameters(both) == {"mine": first, "theirs": second}
    assert parameters(alone) == {"theirs": second}
    assert parameters(then(alone, instance(), author("bob"))) is None


@given(PARAMETERS, PARAMETERS, PARAMETERS)
def test_a_lone_applier_gets_exactly_what_it_states(first: Document, second: Document, third: Document) -> None:
    live = Applied(configured(first), first_applied(configured(first), author("ann")))
    for values in (second, third):
        live = then(live, configured(values), author("ann"))
        assert parameters(live) == values


def parsed(body: bytes, *, kind: Kind = SERVICE_INSTANCE) -> Document:
    return parse_configuration(body, kind, "db", find_repeated=True).document


HEAD = f"apiVersion: {V1BETA1}\nkind: ServiceInstance\n"


def test_a_configuration_is_read_from_yaml_and_json() -> None:
    expected = instance(planName="p")
    assert parsed(f"{HEAD}spec: {{planName: p}}\n".encode()) == expected
    assert parsed(json.dumps(expected).encode()) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("kind: ServiceInstance", "incorrect apiVersion specified in apply patch: specified ''"),
        ("apiVersion: v1\nkind: ServiceInstance", "expected 'servicecatalog.k8s.io/v1beta1'"),
        (f"apiVersion: {V1BETA1}\nkind: ServiceBinding", "incorrect kind"),
        (f"{HEAD}metadata: {{managedFields: []}}", "metadata.managedFields must be nil"),
        (f"{HEAD}metadata: {{name: other}}", "does not match the name on the URL"),
        (f"{HEAD}metadata: 1", "metadata must be an object"),
        (f"{HEAD}spec: {{parameters: {{a: .inf}}}}", "infinite"),
        ('{"apiVersion": 1e400}', "too large"),
        ("[]", "must be an object"),
        ("", "no body"),
    ],
)
def test_what_is_no_configuration_of_this_object_is_refused(body: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        parsed(body.encode())
