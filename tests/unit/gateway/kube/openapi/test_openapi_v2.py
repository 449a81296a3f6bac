"""The Swagger 2.0 document says the same as the v3 documents, in the older notation."""

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from chandlery_gateway.kube.openapi import openapi_v2
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind

BOATS = "/apis/sea.example.org/v1/namespaces/{namespace}/boats"


class Open(BaseModel):
    """Takes whatever comes."""

    model_config = ConfigDict(extra="allow")
    known: str


class Spec(BaseModel):
    """What the boat should be."""

    size: int = 0
    open: Open | None = Field(default=None, description="Free part.")
    tags: list[Open] | None = None
    by_name: dict[str, Open] | None = None
    parameters: dict[str, Any] | None = None


class Boat(BaseModel):
    """A boat."""

    spec: Spec = Field(default=Spec(), description="The desired state.")


BOAT = DocumentedKind(
    group="sea.example.org", version="v1", kind="Boat", plural="boats", namespaced=True, model=Boat, has_status=True
)
SECRET = DocumentedKind(
    group="", version="v1", kind="Secret", plural="secrets", namespaced=True, model=Boat, has_status=False
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_v2.document([BOAT, SECRET], release="1.2.3")


def test_all_groups_are_in_one_document(document: dict[str, Any]) -> None:
    assert document["swagger"] == "2.0"
    assert {BOATS, "/api/v1/namespaces/{namespace}/secrets"} <= document["paths"].keys()
    assert {"org.example.sea.v1.Boat", "io.k8s.api.core.v1.Secret"} <= document["definitions"].keys()


def test_nothing_of_the_newer_notation_is_left(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for word in ("#/components", "allOf", "requestBody", '"content"', "openapi"):
        assert word not in text
    targets = {part.split('"')[0] for part in text.split('"$ref": "#/definitions/')[1:]}
    assert targets
    assert targets <= document["definitions"].keys()


def test_description_stands_beside_the_reference(document: dict[str, Any]) -> None:
    spec = document["definitions"]["org.example.sea.v1.Boat"]["properties"]["spec"]
    assert spec == {"$ref": "#/definitions/org.example.sea.v1.Spec", "description": "The desired state."}


def test_open_structure_has_no_properties_that_would_close_it(document: dict[str, Any]) -> None:
    opened = document["definitions"]["org.example.sea.v1.Open"]
    assert opened["type"] == "object"
    assert "properties" not in opened
    assert "required" not in opened


def test_nested_references_are_rewritten(document: dict[str, Any]) -> None:
    fields = document["definitions"]["org.example.sea.v1.Spec"]["properties"]
    reference = {"$ref": "#/definitions/org.example.sea.v1.Open"}
    assert fields["tags"]["items"] == reference
    assert fields["by_name"]["additionalProperties"] == reference


def test_body_and_query_are_parameters(document: dict[str, Any]) -> None:
    patch = document["paths"][f"{BOATS}/{{name}}"]["patch"]
    body, *query = patch["parameters"]
    assert body["in"] == "body"
    assert body["required"] is True
    assert {"name", "in", "type", "description", "required"} == query[0].keys()
    assert {"dryRun", "fieldValidation"} <= {parameter["name"] for parameter in query}
    media = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
    assert patch["consumes"] == media
    assert patch["produces"] == ["application/json"]
    assert patch["responses"]["200"]["schema"] == {"$ref": "#/definitions/org.example.sea.v1.Boat"}


def test_a_document_that_is_merged_into_another_one_has_names_of_its_own_for_what_all_have() -> None:
    """Of two different definitions of one name kube-apiserver renames one, and which that is depends on its release."""
    plain, merged = openapi_v2.document([BOAT]), openapi_v2.document([BOAT], is_merged=True)
    assert "io.k8s.apimachinery" in str(plain)
    assert "io.k8s.apimachinery" not in str(merged)
    assert len(merged["definitions"]) == len(plain["definitions"])
    references = set(re.findall(r"'#/definitions/([^']+)'", str(merged)))
    assert references <= merged["definitions"].keys()
    assert "x-kubernetes-group-version-kind" not in merged["definitions"]["io.chandlery.meta.v1.Status"]
    assert merged["paths"].keys() == plain["paths"].keys()
