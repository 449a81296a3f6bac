"""The OpenAPI v3 documents hold what kubectl looks for."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from chandlery_gateway.kube.openapi import openapi_v3
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind

GVK = "x-kubernetes-group-version-kind"
ROOT = "/apis/sea.example.org/v1beta1"


class Spec(BaseModel):
    """A spec."""

    size: int = 0


class Model(BaseModel):
    """A model."""

    spec: Spec = Spec()


def _kind(name: str, **changes: Any) -> DocumentedKind:
    plain: dict[str, Any] = {"group": "sea.example.org", "version": "v1beta1", "namespaced": True, "has_status": True}
    model = create_model(name, __base__=Model)
    return DocumentedKind(**{**plain, "kind": name, "plural": f"{name.lower()}s", "model": model, **changes})


BOAT = _kind("Boat")
HARBOUR = _kind("Harbour", namespaced=False, has_status=False)
EVENT = _kind("Event", group="", version="v1", has_status=False, verbs=frozenset({"get", "list", "create"}))
KINDS = (BOAT, HARBOUR, EVENT)


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    return openapi_v3.document("sea.example.org/v1beta1", KINDS, release="1.2.3")


def test_document_has_only_the_kinds_of_its_group_version(catalog: dict[str, Any]) -> None:
    assert set(catalog["paths"]) == {
        f"{ROOT}/boats",
        f"{ROOT}/namespaces/{{namespace}}/boats",
        f"{ROOT}/namespaces/{{namespace}}/boats/{{name}}",
        f"{ROOT}/namespaces/{{namespace}}/boats/{{name}}/status",
        f"{ROOT}/harbours",
        f"{ROOT}/harbours/{{name}}",
    }
    assert catalog["info"]["version"] == "1.2.3"


@pytest.mark.parametrize("kind", [BOAT, HARBOUR], ids=lambda kind: kind.kind)
def test_patch_takes_field_validation_for_every_kind(catalog: dict[str, Any], kind: DocumentedKind) -> None:
    found = [item["patch"] for item in catalog["paths"].values() if item.get("patch", {}).get(GVK) == kind.gvk()]
    assert found
    for operation in found:
        names = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
        assert {"fieldValidation", "fieldManager", "dryRun"} <= names


def test_operations_are_named_and_labelled_as_kubernetes_does(catalog: dict[str, Any]) -> None:
    found = {
        operation["operationId"]: operation["x-kubernetes-action"]
        for item in catalog["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    }
    assert found["listSeaV1beta1BoatForAllNamespaces"] == "list"
    assert found["createSeaV1beta1NamespacedBoat"] == "post"
    assert found["deleteSeaV1beta1CollectionNamespacedBoat"] == "deletecollection"
    assert found["replaceSeaV1beta1NamespacedBoatStatus"] == "put"
    assert found["readSeaV1beta1Harbour"] == "get"
    assert len(found) == 7 + 1 + 3 + 7


def test_every_path_variable_is_declared(catalog: dict[str, Any]) -> None:
    for path, item in catalog["paths"].items():
        declared = {parameter["name"] for parameter in item["parameters"] if parameter["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_references_stay_inside_the_document(catalog: dict[str, Any]) -> None:
    text = json.dumps(catalog)
    targets = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert targets
    assert targets <= catalog["components"]["schemas"].keys()


def test_verbs_that_are_not_served_are_not_offered() -> None:
    document = openapi_v3.document("v1", KINDS)
    assert document["paths"]["/api/v1/namespaces/{namespace}/events"].keys() == {"get", "post", "parameters"}
    assert document["paths"]["/api/v1/namespaces/{namespace}/events/{name}"].keys() == {"get", "parameters"}


def test_only_core_kinds_are_patched_strategically(catalog: dict[str, Any]) -> None:
    pod = _kind("Pod", group="", version="v1")
    core = openapi_v3.document("v1", [pod])["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    boat = catalog["paths"][f"{ROOT}/namespaces/{{namespace}}/boats/{{name}}"]["patch"]
    assert "application/strategic-merge-patch+json" in core["requestBody"]["content"]
    media = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
    assert list(boat["requestBody"]["content"]) == media


def test_index_addresses_change_with_the_content() -> None:
    path = openapi_v3.document_path("sea.example.org", "v1beta1")
    first = openapi_v3.index({path: "ONE", openapi_v3.document_path("", "v1"): "CORE"})["paths"]
    second = openapi_v3.index({path: "TWO"})["paths"]
    assert first.keys() == {"apis/sea.example.org/v1beta1", "api/v1"}
    assert first["api/v1"] == {"serverRelativeURL": "/openapi/v3/api/v1?hash=CORE"}
    assert first[path] != second[path]
