"""What tools that keep manifests true ask, in their order: Terraform's `kubernetes_manifest`, Flux, Argo CD.

They are not on this machine; the sequences are those of their sources. Each asks only what its discovery has told it.
"""

from typing import Any, Final

import pytest

from tests.e2e.stacks.api_client import ApiAnswer, ApiClient, JsonObject, is_ready
from tests.e2e.stacks.manifests import API, instance
from tests.e2e.stacks.stacks import Stack
from tests.support.waiting import wait_for

_APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
_GROUP: Final = f"/apis/{API}"
_PAGE: Final = 500


@pytest.fixture
def place(namespace: str) -> str:
    return f"{_GROUP}/namespaces/{namespace}/serviceinstances/db"


@pytest.fixture
def client(shop: Stack) -> ApiClient:
    return shop.api


def _apply(client: ApiClient, place: str, document: JsonObject, **query: str) -> ApiAnswer:
    options = "&".join(f"{name}={value}" for name, value in query.items())
    return client.call("PATCH", f"{place}?{options}", document, headers=_APPLY)


def _ready(client: ApiClient, place: str) -> Any:
    return wait_for(lambda: client.read(place)[1], is_ready, what="a ready instance")


def test_terraform_plans_applies_changes_and_destroys(client: ApiClient, place: str) -> None:
    for document in ("/version", "/api", "/apis", _GROUP, "/openapi/v2"):
        assert client.read(document)[0] == 200
    kinds = {each["kind"]: each for each in client.read(_GROUP)[1]["resources"] if "/" not in each["name"]}
    assert {"get", "patch", "delete"} <= set(kinds["ServiceInstance"]["verbs"])
    assert client.read(place)[0] == 404

    planned = _apply(client, place, instance("db"), fieldManager="Terraform", dryRun="All")
    assert planned.status == 201
    assert client.read(place)[0] == 404, "a plan leaves nothing behind"
    assert _apply(client, place, instance("db"), fieldManager="Terraform").status == 201
    before = _ready(client, place)

    changed = instance("db", parameters={"size": 2})
    planned = _apply(client, place, changed, fieldManager="Terraform", dryRun="All")
    assert (planned.status, planned.body["spec"]["parameters"]) == (200, {"size": 2})
    assert "parameters" not in client.read(place)[1]["spec"]
    applied = _apply(client, place, changed, fieldManager="Terraform")
    assert applied.body["metadata"]["generation"] == before["metadata"]["generation"] + 1

    status, _ = client.send(
        "DELETE", place, {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    )
    assert status == 200
    wait_for(lambda: client.read(place)[0], lambda code: code == 404, what="an instance that is gone")


def test_flux_sees_drift_and_puts_it_right_and_writes_nothing_without(client: ApiClient, place: str) -> None:
    wanted = instance("db", parameters={"size": 1})
    query = {"fieldManager": "kustomize-controller", "force": "true"}
    assert _apply(client, place, wanted, **query).status == 201
    at_rest = _ready(client, place)

    tried = _apply(client, place, wanted, **query, dryRun="All").body
    assert tried["metadata"]["resourceVersion"] == at_rest["metadata"]["resourceVersion"], "no drift"
    assert _apply(client, place, wanted, **query).body["metadata"] == at_rest["metadata"]

    drifted = client.call(
        "PATCH",
        f"{place}?fieldManager=kubectl-edit",
        {"spec": {"parameters": {"size": 7}}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert drifted.status == 200
    tried = _apply(client, place, wanted, **query, dryRun="All").body
    assert tried["spec"]["parameters"] == {"size": 1}
    assert tried["metadata"]["generation"] > drifted.body["metadata"]["generation"]
    assert _apply(client, place, wanted, **query).body["spec"]["parameters"] == {"size": 1}


def test_argo_lists_and_watches_every_kind_that_discovery_names(client: ApiClient) -> None:
    versions = [version["groupVersion"] for group in client.read("/apis")[1]["groups"] for version in group["versions"]]
    asked = set()
    for root in ("/api/v1", *(f"/apis/{version}" for version in versions)):
        for resource in client.read(root)[1]["resources"]:
            if not {"list", "watch"} <= set(resource["verbs"]):
                continue
            status, page = client.read(f"{root}/{resource['name']}?limit={_PAGE}&resourceVersion=0")
            assert (status, page["kind"]) == (200, f"{resource['kind']}List")
            version = page["metadata"]["resourceVersion"]
            watch = f"watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=1"
            assert client.read(f"{root}/{resource['name']}?{watch}")[0] == 200
            asked.add(resource["name"])
    assert asked > {"clusterservicebrokers", "serviceplans", "serviceinstances", "servicebindings", "secrets"}
