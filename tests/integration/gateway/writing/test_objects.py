"""Create, read, replace, patch, list and delete objects of every kind, and in which forms they are answered."""

from typing import Any

import pytest
import yaml

from chandlery.model.objects.kinds import KINDS, Kind
from tests.integration.gateway.api_client import (
    CATALOG,
    SECRETS,
    TABLE,
    TEAM,
    Api,
    Document,
    binding,
    broker,
    catalog_object,
    instance,
    labelled,
    names,
    namespace,
    plan,
    role,
    role_binding,
    secret,
    service_class,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

_OFFERING = {"externalName": "x", "externalID": "x-1", "description": "an x"}
BODIES: dict[str, Document] = {
    "ClusterServiceBroker": broker("one"),
    "ServiceBroker": broker("one", "ServiceBroker"),
    "ClusterServiceClass": service_class("one"),
    "ServiceClass": catalog_object("ServiceClass", "one", serviceBrokerName="b", **_OFFERING),
    "ClusterServicePlan": plan("one"),
    "ServicePlan": catalog_object(
        "ServicePlan", "one", serviceBrokerName="b", serviceClassRef={"name": "c"}, **_OFFERING
    ),
    "ServiceInstance": instance("one"),
    "ServiceBinding": binding("one"),
    "Namespace": namespace("one"),
    "Secret": secret("one", password="hunter2"),
    "Event": {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "one"},
        "involvedObject": {"kind": "ServiceInstance", "name": "db", "namespace": "team", "uid": "u-1"},
        "reason": "Tested",
        "message": "it was",
        "type": "Normal",
    },
    "ServiceAccount": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "one"}},
    "Role": role("one"),
    "ClusterRole": role("one", "ClusterRole"),
    "RoleBinding": role_binding("one"),
    "ClusterRoleBinding": role_binding("one", "ClusterRoleBinding"),
}


def place(kind: Kind) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    return f"{root}/namespaces/team/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_an_object_of_every_kind_lives_and_goes(api: Api, kind: Kind) -> None:
    collection = place(kind)
    created = await api.made(collection, BODIES[kind.kind])
    one = f"{collection}/one"
    meta = created["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["selfLink"] == one
    assert meta.get("namespace") == ("team" if kind.namespaced else None)
    assert bool(meta.get("finalizers")) == kind.has_finalizer
    assert await api.read(one) == created

    replaced = await api.put(one, labelled(created, a="b") | {"metadata": {**meta, "labels": {"a": "b"}}})
    assert replaced.status == 200, replaced.payload
    assert replaced.document["metadata"]["labels"]["a"] == "b"
    assert int(replaced.document["metadata"]["resourceVersion"]) > int(meta["resourceVersion"])
    patched = await api.patch(one, {"metadata": {"annotations": {"c": "d"}}})
    assert patched.status == 200, patched.payload
    assert await api.read(one) == patched.document

    listed = await api.read(collection)
    assert listed["kind"] == f"{kind.kind}List"
    assert patched.document in listed["items"]

    gone = await api.delete(one)
    assert gone.status == 200
    if kind.has_finalizer or kind.kind == "Namespace":
        assert gone.document["metadata"]["deletionTimestamp"]
        assert (await api.read(one))["metadata"]["deletionTimestamp"]
    else:
        assert gone.document["status"] == "Success"
        assert gone.document["details"]["uid"] == meta["uid"]
        assert (await api.get(one)).status == 404


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_name_is_given_once(api: Api, kind: Kind) -> None:
    await api.made(place(kind), BODIES[kind.kind])
    again = await api.post(place(kind), BODIES[kind.kind])
    assert again.status == 409
    assert again.document["reason"] == "AlreadyExists"
    assert again.message == f'{kind.qualified_plural} "one" already exists'
    assert again.document["details"]["name"] == "one"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_every_kind_is_shown_as_a_table_and_as_metadata(api: Api, kind: Kind) -> None:
    await api.made(place(kind), BODIES[kind.kind])
    for path in (place(kind), f"{place(kind)}/one"):
        table = (await api.call("GET", path, headers={"Accept": TABLE})).document
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        assert table["metadata"]["resourceVersion"]
        row = next(row for row in table["rows"] if row["object"]["metadata"]["name"] == "one")
        assert len(row["cells"]) == len(table["columnDefinitions"])
        assert row["object"]["kind"] == "PartialObjectMetadata"
        accept = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
        metadata = (await api.call("GET", path, headers=accept)).document
        item = next(item for item in metadata.get("items", [metadata]) if item["metadata"]["name"] == "one")
        assert item.keys() == {"kind", "apiVersion", "metadata"}


async def test_rows_of_a_table_carry_as_much_of_the_object_as_is_asked_for(api: Api) -> None:
    created = await api.made(f"{TEAM}/serviceinstances", instance())

    async def row(**query: str) -> Any:
        answer = await api.call("GET", f"{TEAM}/serviceinstances", headers={"Accept": TABLE}, query=query)
        return answer.document["rows"][0]

    assert (await row(includeObject="Object"))["object"] == created
    assert "object" not in await row(includeObject="None")
    assert (await row(includeObject="Metadata"))["object"]["metadata"] == created["metadata"]
    assert (await row())["cells"][:4] == ["db", "ClusterServiceClass/mysql", "small", ""]


async def test_an_answer_is_yaml_when_asked_for(api: Api) -> None:
    created = await api.made(f"{TEAM}/serviceinstances", instance())
    answer = await api.call("GET", f"{TEAM}/serviceinstances/db", headers={"Accept": "application/yaml"})
    assert answer.headers["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(answer.payload) == created
    missing = await api.call("GET", f"{TEAM}/serviceinstances/no", headers={"Accept": "application/yaml"})
    assert missing.status == 404


async def test_a_body_may_be_yaml(api: Api) -> None:
    text = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  a: b\n"
    answer = await api.call("POST", SECRETS, text, headers={"Content-Type": "application/yaml"})
    assert answer.status == 201
    assert answer.document["data"] == {"a": "Yg=="}


async def test_an_answer_that_cannot_be_given_changes_nothing(api: Api) -> None:
    created = await api.made(f"{TEAM}/serviceinstances", instance())
    one, protobuf = f"{TEAM}/serviceinstances/db", {"Accept": "application/vnd.kubernetes.protobuf"}
    for method, path, body in (
        ("POST", f"{TEAM}/serviceinstances", instance("other")),
        ("PUT", one, labelled(created, a="b") | {"metadata": {**created["metadata"], "labels": {"a": "b"}}}),
        ("DELETE", one, None),
        ("DELETE", f"{TEAM}/serviceinstances", None),
    ):
        refused = await api.call(method, path, body, headers=protobuf)
        assert (refused.status, refused.document["reason"]) == (406, "NotAcceptable")
        assert (await api.call(method, path, body, query={"includeObject": "Everything"})).status == 400
    assert names(await api.read(f"{TEAM}/serviceinstances")) == ["db"]
    assert await api.read(one) == created


async def test_a_name_is_made_up_from_a_prefix(api: Api) -> None:
    body = instance()
    body["metadata"] = {"generateName": "db-"}
    made = {(await api.made(f"{TEAM}/serviceinstances", body))["metadata"]["name"] for _ in range(5)}
    assert len(made) == 5
    assert all(name.startswith("db-") and len(name) == 8 for name in made)
    found = (await api.read(f"{TEAM}/serviceinstances"))["items"]
    assert {each["metadata"]["generateName"] for each in found} == {"db-"}
    assert {each["metadata"]["name"] for each in found} == made
    body["metadata"] = {"generateName": "x" * 100}
    assert len((await api.made(f"{TEAM}/serviceinstances", body))["metadata"]["name"]) == 63
    body["metadata"] = {}
    nameless = await api.post(f"{TEAM}/serviceinstances", body)
    assert nameless.status == 422
    assert "generateName" in nameless.causes["metadata.name"]


async def test_what_cannot_be_read_is_told_by_the_beginning_of_the_name_that_it_would_get(api: Api) -> None:
    body = instance()
    body["metadata"], body["spec"] = {"generateName": "db-"}, {"parameters": 1}
    refused = await api.post(f"{TEAM}/serviceinstances", body)
    assert (refused.status, refused.document["details"]["name"]) == (422, "db-")


async def test_what_the_server_owns_is_not_taken_from_a_client(api: Api) -> None:
    body = instance()
    body["metadata"] |= {
        "uid": "mine",
        "generation": 7,
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 30,
        "selfLink": "/mine",
        "managedFields": [{"manager": "kubectl"}],
        "finalizers": ["example.com/mine"],
    }
    body["spec"]["userInfo"] = {"username": "root"}
    body["spec"]["clusterServiceClassRef"] = {"name": "mine"}
    body["status"] = {"provisionStatus": "Provisioned"}
    created = await api.made(f"{TEAM}/serviceinstances", body)
    meta = created["metadata"]
    assert meta["uid"] != "mine"
    assert meta["generation"] == 1
    assert not meta["creationTimestamp"].startswith("2001")
    assert meta.keys().isdisjoint({"deletionTimestamp", "deletionGracePeriodSeconds"})
    assert [entry["manager"] for entry in meta["managedFields"]] != ["kubectl"]
    assert meta["finalizers"] == ["kubernetes-incubator/service-catalog"]
    assert created["spec"]["userInfo"]["username"] == "admin"
    assert "clusterServiceClassRef" not in created["spec"]
    assert "provisionStatus" not in created["status"]
    assert await api.read(f"{TEAM}/serviceinstances/db") == created


async def test_a_secret_is_readable_and_sealed_in_every_table(api: Api, gateway: Any) -> None:
    await api.made(SECRETS, secret(password="only-in-this-secret"))
    await api.patch(f"{SECRETS}/key", {"stringData": {"token": "swordfish"}})
    assert (await api.read(f"{SECRETS}/key"))["data"] == {
        "password": "b25seS1pbi10aGlzLXNlY3JldA==",
        "token": "c3dvcmRmaXNo",
    }
    for table in ("secrets", "changes", "outbox"):
        stored = repr(await gateway.rows(table))
        for word in ("only-in-this-secret", "b25seS1pbi10aGlzLXNl", "swordfish", "c3dvcmRmaXNo"):
            assert word not in stored


async def test_lists_span_namespaces_or_keep_to_one(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("other"))
    await api.made(f"{TEAM}/serviceinstances", instance("a"))
    await api.made(f"{CATALOG}/namespaces/other/serviceinstances", instance("b"))
    assert names(await api.read(f"{CATALOG}/serviceinstances")) == ["b", "a"]
    assert names(await api.read(f"{TEAM}/serviceinstances")) == ["a"]
    everywhere = await api.get(f"{CATALOG}/serviceinstances", fieldSelector="metadata.namespace=other")
    assert names(everywhere.document) == ["b"]
    assert names(await api.read(f"{CATALOG}/namespaces/nowhere/serviceinstances")) == []
