"""Owners and namespaces: the cluster's garbage collector and namespace controller treat our objects like any other."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import ApiClient, JsonObject
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import API, binding, cluster_broker, instance
from tests.support.waiting import wait_for

COLLECTED_SECONDS = 60.0
"""The garbage collector works in rounds, and each of its looks goes through two servers."""


@pytest.fixture(scope="module")
def broker(chandlery: InstalledChandlery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoBroker]:
    with DemoBroker(tmp_path_factory.mktemp("broker")) as started:
        chandlery.kubectl().apply(cluster_broker("demo-broker", started.url))
        chandlery.api.await_ready("clusterservicebrokers", "demo-broker")
        yield started


def _config_map(name: str, *owners: JsonObject) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": list(owners)}}


def _owner(document: JsonObject, *, blocks: bool = False) -> JsonObject:
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "name": document["metadata"]["name"],
        "uid": document["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    }


def _created(api: ApiClient, namespace: str, document: JsonObject) -> JsonObject:
    group = "/api/v1" if document["apiVersion"] == "v1" else f"/apis/{API}"
    path = f"{group}/namespaces/{namespace}/{document['kind'].lower()}s"
    status, body = api.send("POST", path, document)
    assert status == 201, body
    found: JsonObject = body
    return found


def _config_maps(api: ApiClient, namespace: str) -> dict[str, JsonObject]:
    _, body = api.read(f"/api/v1/namespaces/{namespace}/configmaps")
    return {each["metadata"]["name"]: each for each in body["items"]}


def _await_config_maps(api: ApiClient, namespace: str, *, without: str) -> None:
    wait_for(
        lambda: _config_maps(api, namespace),
        lambda seen: without not in seen,
        what=f"ConfigMap {without} to be gone",
        seconds=COLLECTED_SECONDS,
    )


def _ready_instance(chandlery: InstalledChandlery, namespace: str, **metadata: Any) -> JsonObject:
    document = instance("db")
    document["metadata"] |= metadata
    _created(chandlery.api, namespace, document)
    return chandlery.api.await_ready("serviceinstances", "db", namespace=namespace)


def _at_broker(broker: DemoBroker, found: JsonObject) -> int:
    return broker.status_of(f"/v2/service_instances/{found['spec']['externalID']}")


def test_what_an_instance_owns_in_the_cluster_goes_with_it(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    api, found = chandlery.api, _ready_instance(chandlery, namespace)
    _created(api, namespace, _config_map("owned", _owner(found)))
    chandlery.kubectl().ok("-n", namespace, "delete", "serviceinstance", "db", "--wait=false")
    api.await_gone("serviceinstances", "db", namespace=namespace)
    _await_config_maps(api, namespace, without="owned")
    assert _at_broker(broker, found) == 404


def test_an_instance_goes_with_its_owner_in_the_cluster(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    owner = _created(chandlery.api, namespace, _config_map("app"))
    found = _ready_instance(chandlery, namespace, ownerReferences=[_owner(owner)])
    assert _at_broker(broker, found) == 200
    chandlery.kubectl().ok("-n", namespace, "delete", "configmap", "app")
    chandlery.api.await_gone("serviceinstances", "db", namespace=namespace, seconds=COLLECTED_SECONDS)
    assert _at_broker(broker, found) == 404


def test_an_instance_that_names_an_owner_which_never_was_goes(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    """It is the collector's to find that out: it alone knows all kinds of the cluster."""
    nobody = _owner({**_config_map("nobody"), "metadata": {"name": "nobody", "uid": "no-uid-of-anybody"}})
    found = instance("db")
    found["metadata"]["ownerReferences"] = [nobody]
    _created(chandlery.api, namespace, found)
    chandlery.api.await_gone("serviceinstances", "db", namespace=namespace, seconds=COLLECTED_SECONDS)


def test_an_instance_deleted_in_the_foreground_waits_for_what_it_owns(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    api, found = chandlery.api, _ready_instance(chandlery, namespace)
    kept = _config_map("owned", _owner(found, blocks=True))
    kept["metadata"]["finalizers"] = ["example.com/held"]
    _created(api, namespace, kept)
    kubectl = chandlery.kubectl()
    kubectl.ok("-n", namespace, "delete", "serviceinstance", "db", "--cascade=foreground", "--wait=false")
    # The collector has come as far as the ConfigMap, which somebody holds.
    wait_for(
        lambda: _config_maps(api, namespace)["owned"]["metadata"],
        lambda meta: "deletionTimestamp" in meta,
        what="the ConfigMap to be deleted",
        seconds=COLLECTED_SECONDS,
    )
    waiting = api.find("serviceinstances", "db", namespace=namespace)
    assert waiting is not None
    assert "foregroundDeletion" in waiting["metadata"]["finalizers"]
    kubectl.ok("-n", namespace, "patch", "configmap", "owned", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    api.await_gone("serviceinstances", "db", namespace=namespace, seconds=COLLECTED_SECONDS)
    assert "owned" not in _config_maps(api, namespace)


def test_an_owner_deleted_in_the_foreground_waits_for_its_instance(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    owner = _created(chandlery.api, namespace, _config_map("app"))
    found = _ready_instance(chandlery, namespace, ownerReferences=[_owner(owner, blocks=True)])
    kubectl = chandlery.kubectl()
    kubectl.ok("-n", namespace, "delete", "configmap", "app", "--cascade=foreground", "--wait=false")
    _await_config_maps(chandlery.api, namespace, without="app")
    assert chandlery.api.find("serviceinstances", "db", namespace=namespace) is None
    assert _at_broker(broker, found) == 404


def test_what_an_instance_owned_stays_where_orphans_are_asked_for(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    api, found = chandlery.api, _ready_instance(chandlery, namespace)
    _created(api, namespace, _config_map("owned", _owner(found)))
    chandlery.kubectl().ok("-n", namespace, "delete", "serviceinstance", "db", "--cascade=orphan", "--wait=false")
    api.await_gone("serviceinstances", "db", namespace=namespace, seconds=COLLECTED_SECONDS)
    assert not _config_maps(api, namespace)["owned"]["metadata"].get("ownerReferences")


def test_an_instance_stays_without_its_owner_where_orphans_are_asked_for(
    chandlery: InstalledChandlery, broker: DemoBroker, namespace: str
) -> None:
    owner = _created(chandlery.api, namespace, _config_map("app"))
    found = _ready_instance(chandlery, namespace, ownerReferences=[_owner(owner)])
    kubectl = chandlery.kubectl()
    kubectl.ok("-n", namespace, "delete", "configmap", "app", "--cascade=orphan", "--wait=false")
    _await_config_maps(chandlery.api, namespace, without="app")
    left = chandlery.api.find("serviceinstances", "db", namespace=namespace)
    assert left is not None
    assert not left["metadata"].get("ownerReferences")
    assert "deletionTimestamp" not in left["metadata"]
    assert _at_broker(broker, found) == 200


def test_the_secret_of_a_binding_goes_with_it(
    chandlery: InstalledChandlery, cluster: RealCluster, broker: DemoBroker, namespace: str
) -> None:
    _ready_instance(chandlery, namespace)
    _created(chandlery.api, namespace, binding("db", "db"))
    bound = chandlery.api.await_ready("servicebindings", "db", namespace=namespace)
    secret = chandlery.api.find("secrets", "db", namespace=namespace)
    assert secret is not None
    [owner] = secret["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (bound["metadata"]["uid"], True, True)
    chandlery.kubectl().ok("-n", namespace, "delete", "servicebinding", "db", "--cascade=foreground")
    assert cluster.secret(namespace, "db") is None


def test_instances_are_deprovisioned_before_their_namespace_is_gone(
    chandlery: InstalledChandlery, cluster: RealCluster, broker: DemoBroker
) -> None:
    namespace = cluster.new_namespace()
    found = _ready_instance(chandlery, namespace)
    _created(chandlery.api, namespace, binding("db", "db"))
    chandlery.api.await_ready("servicebindings", "db", namespace=namespace)
    chandlery.kubectl().ok("delete", "namespace", namespace, "--timeout=60s")
    assert cluster.api().read(f"/api/v1/namespaces/{namespace}")[0] == 404
    assert _at_broker(broker, found) == 404
    deletions = [path for method, path, _ in broker.requests() if method == "DELETE"]
    own = [path for path in deletions if found["spec"]["externalID"] in path]
    assert ["service_bindings" in path for path in own] == [True, False]
    assert chandlery.api.names("serviceinstances", namespace=namespace) == []
