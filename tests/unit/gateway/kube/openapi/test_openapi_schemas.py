"""Models become schemas that Kubernetes clients can parse."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import KINDS
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind, component_schemas

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
FORBIDDEN = {"anyOf", "oneOf", "const", "prefixItems", "title", "$defs", "examples", "discriminator", "propertyNames"}


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ObjectMeta(Wire):
    """Standard metadata."""

    name: str = ""
    creation_timestamp: datetime | None = None
    labels: dict[str, str] | None = None


class Colour(StrEnum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Part(Wire):
    """A part of a boat."""

    size: int


class Open(Wire):
    """Takes whatever comes."""

    model_config = ConfigDict(extra="allow")
    known: str = ""


class BoatSpec(Wire):
    """What the boat should be."""

    owner_name: str = Field(description="Who owns it.")
    colour: Colour = Field(default=Colour.RED, description="Paint.")
    rig: Literal["sloop", "ketch"] | None = Field(default=None, description="Masts and sails.")
    mode: Literal["only"] = "only"
    main_part: Part | None = Field(default=None, description="The biggest part.")
    spare: Part | None = None
    parts: tuple[Part, ...] | None = None
    parameters: dict[str, Any] | None = None
    anything: Any = None
    sizes: dict[str, tuple[int, ...]] | None = None
    port: int | str | None = None
    mixed: Part | list[str] | None = None
    depth: float = Field(default=1.5, gt=0, lt=9)
    crew: int = Field(default=2, ge=1, le=8)
    name: str = Field(default="", max_length=5, pattern="^[a-z]*$")
    raw: bytes | None = None
    password: SecretStr | None = None
    open: Open | None = None


class Boat(Wire):
    """A boat on the water."""

    api_version: Literal["sea.example.org/v1"] = "sea.example.org/v1"
    kind: Literal["Boat"]
    metadata: ObjectMeta
    spec: BoatSpec


BOAT = DocumentedKind(
    group="sea.example.org", version="v1", kind="Boat", plural="boats", namespaced=True, model=Boat, has_status=False
)


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return component_schemas([BOAT])


@pytest.fixture(scope="module")
def spec(schemas: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = schemas["org.example.sea.v1.BoatSpec"]["properties"]
    return fields


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All schemas inside a map of schemas; names of properties are not mistaken for keywords."""
    for schema in value.values():
        yield schema
        yield from _nodes(schema.get("properties", {}))
        for key in ("items", "additionalProperties"):
            if key in schema:
                yield from _nodes({key: schema[key]})
        yield from _nodes(dict(enumerate(schema.get("allOf", []))))


def test_root_carries_its_group_version_kind_and_needs_no_type_fields(schemas: dict[str, Any]) -> None:
    root = schemas["org.example.sea.v1.Boat"]
    assert root["x-kubernetes-group-version-kind"] == [{"group": "sea.example.org", "kind": "Boat", "version": "v1"}]
    assert root["required"] == ["spec"]
    assert root["properties"]["apiVersion"].keys() == {"type", "description"}
    assert root["properties"]["metadata"]["allOf"] == [{"$ref": f"#/components/schemas/{META}.ObjectMeta"}]


def test_list_refers_to_its_items_and_to_list_metadata(schemas: dict[str, Any]) -> None:
    listed = schemas["org.example.sea.v1.BoatList"]
    assert listed["properties"]["items"]["items"] == {"$ref": "#/components/schemas/org.example.sea.v1.Boat"}
    assert listed["x-kubernetes-group-version-kind"][0]["kind"] == "BoatList"
    assert listed["required"] == ["items"]


def test_helper_types_are_there(schemas: dict[str, Any]) -> None:
    assert {f"{META}.{name}" for name in ("DeleteOptions", "ListMeta", "Patch", "Status")} <= schemas.keys()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("ownerName", {"type": "string", "description": "Who owns it."}),
        ("colour", {"type": "string", "enum": ["red", "blue"], "description": "Paint.", "default": "red"}),
        ("rig", {"type": "string", "enum": ["sloop", "ketch"], "description": "Masts and sails."}),
        ("mode", {"type": "string", "enum": ["only"], "default": "only"}),
        ("spare", {"$ref": "#/components/schemas/org.example.sea.v1.Part"}),
        ("parts", {"type": "array", "items": {"$ref": "#/components/schemas/org.example.sea.v1.Part"}}),
        ("parameters", FREE),
        ("anything", {"x-kubernetes-preserve-unknown-fields": True}),
        ("port", {"type": "string", "format": "int-or-string"}),
        ("mixed", {"x-kubernetes-preserve-unknown-fields": True}),
        ("crew", {"type": "integer", "format": "int64", "minimum": 1, "maximum": 8, "default": 2}),
        ("name", {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"}),
        ("raw", {"type": "string", "format": "byte"}),
        ("password", {"type": "string", "format": "password"}),
    ],
)
def test_field_is_translated(spec: dict[str, Any], field: str, expected: dict[str, Any]) -> None:
    assert spec[field] == expected


def test_reference_is_wrapped_when_it_has_a_description(spec: dict[str, Any]) -> None:
    part = {"$ref": "#/components/schemas/org.example.sea.v1.Part"}
    assert spec["mainPart"] == {"allOf": [part], "description": "The biggest part."}


def test_exclusive_bounds_become_flags(spec: dict[str, Any]) -> None:
    bounds = {"minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True}
    assert spec["depth"] == {"type": "number", "format": "double", "default": 1.5, **bounds}


def test_map_of_lists_keeps_its_value_type(spec: dict[str, Any]) -> None:
    values = {"type": "array", "items": {"type": "integer", "format": "int64"}}
    assert spec["sizes"] == {"type": "object", "additionalProperties": values}


def test_open_model_preserves_unknown_fields(schemas: dict[str, Any]) -> None:
    assert schemas["org.example.sea.v1.Open"]["x-kubernetes-preserve-unknown-fields"] is True
    assert "additionalProperties" not in schemas["org.example.sea.v1.BoatSpec"]


def test_timestamps_are_date_times(schemas: dict[str, Any]) -> None:
    created = schemas[f"{META}.ObjectMeta"]["properties"]["creationTimestamp"]
    assert created == {"type": "string", "format": "date-time"}


def test_two_models_of_one_name_are_refused() -> None:
    def make(owner: type[BaseModel]) -> type[BaseModel]:
        class Part(Wire):
            weight: int

        class Raft(Wire):
            metadata: ObjectMeta = ObjectMeta()
            mine: Part | None = None
            other: owner | None = None  # type: ignore[valid-type]

        return Raft

    raft = DocumentedKind(
        group="g.org", version="v1", kind="Raft", plural="rafts", namespaced=True, model=make(Part), has_status=False
    )
    with pytest.raises(ValueError, match=r"g\.org/v1 share a schema name"):
        component_schemas([raft])


def _registry() -> list[DocumentedKind]:
    return [
        DocumentedKind(
            group=kind.group,
            version=kind.version,
            kind=kind.kind,
            plural=kind.plural,
            namespaced=kind.namespaced,
            model=kind.model,
            has_status=kind.has_status,
        )
        for kind in KINDS.values()
    ]


def test_served_kinds_use_nothing_that_kubectl_rejects() -> None:
    schemas = component_schemas(_registry())
    known = {f"#/components/schemas/{name}" for name in schemas}
    for node in _nodes(schemas):
        assert not FORBIDDEN & node.keys()
        assert node.get("default", "") is not None
        assert "$ref" not in node or (node["$ref"] in known and len(node) == 1)
        assert node.get("type") in {None, "object", "array", "string", "integer", "number", "boolean"}
        assert node.get("type") != "array" or "items" in node


def test_every_field_of_the_catalog_kinds_is_described() -> None:
    schemas = component_schemas([kind for kind in _registry() if kind.group])
    bare = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        if name.startswith("io.k8s.servicecatalog") and not name.endswith("List")
        for field, content in schema.get("properties", {}).items()
        if not content.get("description")
    ]
    assert bare == []


def test_lists_that_are_merged_by_a_key_say_so() -> None:
    instances = kinds.SERVICE_INSTANCE
    known = DocumentedKind(
        group=instances.group,
        version=instances.version,
        kind=instances.kind,
        plural=instances.plural,
        namespaced=True,
        model=instances.model,
        has_status=True,
    )
    schemas = component_schemas([known])
    status = schemas["io.k8s.servicecatalog.v1beta1.ServiceInstanceStatus"]["properties"]
    metadata = schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]
    for found, key in ((status["conditions"], "type"), (metadata["ownerReferences"], "uid")):
        assert (found["x-kubernetes-list-type"], found["x-kubernetes-list-map-keys"]) == ("map", [key])
    assert "x-kubernetes-list-type" not in metadata["finalizers"]
    assert metadata["managedFields"]["items"] == {
        "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"
    }
