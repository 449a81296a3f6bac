"""`deletecollection`, by which a cluster's namespace controller empties a namespace: many objects, few transactions."""

import asyncio
from collections.abc import Iterator

import pytest

from chandlery.model.objects.kinds import CATALOG_KINDS, Kind
from tests.integration.gateway.api_client import (
    CATALOG,
    FINALIZER,
    TEAM,
    Api,
    Document,
    binding,
    broker,
    catalog_object,
    instance,
    labelled,
    names,
    plan,
    service_class,
)
from tests.integration.gateway.conftest import Running
from tests.support.measured.statements import counted_statements

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
CLASSES = f"{CATALOG}/clusterserviceclasses"
_OFFER = {"externalName": "e", "externalID": "x", "description": "d", "serviceBrokerName": "broker"}
ONE_OF_EACH = {
    "clusterservicebrokers": broker(),
    "servicebrokers": broker(kind="ServiceBroker"),
    "clusterserviceclasses": service_class(),
    "serviceclasses": catalog_object("ServiceClass", "class-1", **_OFFER, bindable=True),
    "clusterserviceplans": plan(),
    "serviceplans": catalog_object("ServicePlan", "plan-1", **_OFFER, serviceClassRef={"name": "class-1"}),
    "serviceinstances": instance(),
    "servicebindings": binding(),
}
MANY = 70
FEW_TRANSACTIONS = 20


async def _made(api: Api, path: str, documents: Iterator[Document]) -> None:
    await asyncio.gather(*(api.made(path, each) for each in documents))


async def test_many_instances_are_marked_in_few_transactions(gateway: Running) -> None:
    api = gateway.api
    await _made(api, INSTANCES, (instance(f"db-{number:02}") for number in range(MANY)))
    with counted_statements(gateway.resources.database._engine) as counted:
        answer = await api.delete(INSTANCES)
    assert (answer.status, len(answer.document["items"])) == (200, MANY)
    assert counted.transactions < FEW_TRANSACTIONS
    left = (await api.read(INSTANCES))["items"]
    assert len(left) == MANY
    assert all(each["metadata"]["deletionTimestamp"] for each in left)
    rows = [row for row in await gateway.rows("work_queue") if row["kind"] == "ServiceInstance"]
    assert [row["revision"] for row in rows] == [1] * MANY
    # Whoever repeats it, as the namespace controller does until all are gone, changes nothing.
    before = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in left}
    assert (await api.delete(INSTANCES)).status == 200
    left = (await api.read(INSTANCES))["items"]
    assert {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in left} == before


async def test_many_objects_without_a_finalizer_go_in_few_transactions(gateway: Running) -> None:
    api = gateway.api
    await _made(api, CLASSES, (service_class(f"class-{number}", external_name=f"c{number}") for number in range(MANY)))
    with counted_statements(gateway.resources.database._engine) as counted:
        assert len((await api.delete(CLASSES)).document["items"]) == MANY
    assert counted.transactions < FEW_TRANSACTIONS
    assert (await api.read(CLASSES))["items"] == []


@pytest.mark.parametrize("kind", CATALOG_KINDS, ids=lambda kind: str(kind.plural))
async def test_what_has_a_finalizer_is_marked_and_all_else_goes_whatever_its_kind(api: Api, kind: Kind) -> None:
    path = f"{TEAM if kind.namespaced else CATALOG}/{kind.plural}"
    made = await api.made(path, ONE_OF_EACH[kind.plural])
    answer = await api.delete(path)
    assert (answer.status, names(answer.document)) == (200, [made["metadata"]["name"]])
    left = (await api.read(path))["items"]
    assert [each["metadata"]["finalizers"] for each in left] == ([[FINALIZER]] if kind.has_finalizer else [])
    assert all(each["metadata"]["deletionTimestamp"] for each in left)


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [
        ("Foreground", ["kubernetes-incubator/service-catalog", "foregroundDeletion"]),
        ("Orphan", ["kubernetes-incubator/service-catalog", "orphan"]),
        ("Background", ["kubernetes-incubator/service-catalog"]),
    ],
)
async def test_a_propagation_policy_holds_for_each_of_a_collection(
    api: Api, policy: str, finalizers: list[str]
) -> None:
    await _made(api, INSTANCES, (instance(f"db-{number}") for number in range(3)))
    assert (await api.delete(INSTANCES, {"propagationPolicy": policy})).status == 200
    for each in (await api.read(INSTANCES))["items"]:
        assert each["metadata"]["finalizers"] == finalizers


async def test_a_dry_run_of_a_collection_deletes_nothing(gateway: Running) -> None:
    api = gateway.api
    await _made(api, INSTANCES, (instance(f"db-{number:02}") for number in range(MANY)))
    await api.made(CLASSES, service_class())
    before = await api.read(INSTANCES), await api.read(CLASSES)
    with counted_statements(gateway.resources.database._engine) as counted:
        assert len((await api.delete(INSTANCES, dryRun="All")).document["items"]) == MANY
        assert (await api.delete(CLASSES, {"dryRun": ["All"]})).status == 200
    assert counted.transactions < FEW_TRANSACTIONS
    after = await api.read(INSTANCES), await api.read(CLASSES)
    assert [each["items"] for each in after] == [each["items"] for each in before]


async def test_a_collection_is_deleted_page_by_page_where_that_is_asked_for(api: Api) -> None:
    await _made(api, CLASSES, (service_class(f"class-{number}", external_name=f"c{number}") for number in range(5)))
    answer = await api.delete(CLASSES, limit="2")
    assert names(answer.document) == ["class-0", "class-1"]
    assert answer.document["metadata"]["remainingItemCount"] == 3
    rest = await api.delete(CLASSES, limit="2", **{"continue": answer.document["metadata"]["continue"]})
    assert names(rest.document) == ["class-2", "class-3"]
    assert names(await api.read(CLASSES)) == ["class-4"]


async def test_selectors_and_preconditions_hold_for_each_of_a_collection(api: Api) -> None:
    await api.made(INSTANCES, labelled(instance("one"), tier="gold"))
    await api.made(INSTANCES, labelled(instance("two"), tier="gold"))
    await api.made(INSTANCES, labelled(instance("three"), tier="tin"))
    refused = await api.delete(INSTANCES, {"preconditions": {"uid": "nobody"}}, labelSelector="tier=gold")
    assert (refused.status, refused.document["reason"]) == (409, "Conflict")
    assert not any("deletionTimestamp" in each["metadata"] for each in (await api.read(INSTANCES))["items"])
    deleted = await api.delete(INSTANCES, labelSelector="tier=gold", fieldSelector="metadata.name!=two")
    assert names(deleted.document) == ["one"]
    marked = {each["metadata"]["name"]: each["metadata"] for each in (await api.read(INSTANCES))["items"]}
    assert [name for name, meta in marked.items() if "deletionTimestamp" in meta] == ["one"]


async def test_a_collection_is_told_as_metadata_alone_to_whoever_wants_no_more(api: Api) -> None:
    """As metadata clients ask: protobuf of a list of metadata first, JSON of it next."""
    await api.made(f"{TEAM}/servicebindings", binding())
    wanted = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    accept = f"application/vnd.kubernetes.protobuf;{wanted},application/json;{wanted},application/json"
    answer = await api.call("DELETE", f"{TEAM}/servicebindings", {}, headers={"Accept": accept})
    assert (answer.status, answer.document["kind"]) == (200, "PartialObjectMetadataList")
    assert "spec" not in answer.document["items"][0]
