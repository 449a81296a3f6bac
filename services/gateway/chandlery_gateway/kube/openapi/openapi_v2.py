"""The Swagger 2.0 document of GET /openapi/v2: all group versions in one. kubectl before 1.27 validates by it.

Made from the v3 documents, so that both say the same; `openapi_protobuf` encodes it for clients that read no JSON.
"""

from collections.abc import Iterable
from typing import Any, Final

from chandlery_gateway.kube.openapi.openapi_meta_types import GVK_KEY, META_PREFIX
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind
from chandlery_gateway.kube.openapi.openapi_translation import FREE_KEY, REFERENCE_PREFIX, Schema
from chandlery_gateway.kube.openapi.openapi_v3 import document as document_v3

OWN_META_PREFIX: Final = "io.chandlery.meta.v1"
"""Instead of apimachinery's name, where the document is merged into one that has it already."""
_DEFINITION_PREFIX: Final = "#/definitions/"
_METHODS: Final[tuple[str, ...]] = ("get", "put", "post", "delete", "patch")


def document(
    kinds: Iterable[DocumentedKind], *, release: str = "unversioned", is_merged: bool = False
) -> dict[str, Any]:
    """The document over all served kinds, whatever their group.

    One that `is_merged` by kube-apiserver into its own names nothing as that does: what its `DeleteOptions` looks like
    depends on its release, and of two different ones it would rename one.
    """
    served = tuple(kinds)
    versions = dict.fromkeys(kind.group_version for kind in served)
    parts = [document_v3(group_version, served, release=release) for group_version in versions]
    paths = {path: _path_item(item) for part in parts for path, item in part["paths"].items()}
    schemas = {name: _schema(schema) for part in parts for name, schema in part["components"]["schemas"].items()}
    found = {
        "swagger": "2.0",
        "info": {"title": "Chandlery", "version": release},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(schemas.items())),
    }
    return _under_own_names(found) if is_merged else found


def _under_own_names(found: dict[str, Any]) -> dict[str, Any]:
    definitions = {_own_name(name): _renamed(schema) for name, schema in found["definitions"].items()}
    # Kubernetes has one `Status` for all groups, and it is the cluster's.
    definitions[_own_name(f"{META_PREFIX}.Status")].pop(GVK_KEY)
    return {**found, "paths": _renamed(found["paths"]), "definitions": definitions}


def _own_name(name: str) -> str:
    return name.replace(f"{META_PREFIX}.", f"{OWN_META_PREFIX}.")


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _own_name(each) if key == "$ref" and isinstance(each, str) else _renamed(each)
            for key, each in value.items()
        }
    return [_renamed(each) for each in value] if isinstance(value, list) else value


def _path_item(item: dict[str, Any]) -> dict[str, Any]:
    operations = {method: _operation(item[method]) for method in _METHODS if method in item}
    return {**operations, "parameters": [_parameter(parameter) for parameter in item["parameters"]]}


def _operation(operation: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in operation.items() if key not in ("requestBody", "parameters", "responses")}
    body = operation.get("requestBody")
    content = body["content"] if body else {"*/*": {}}
    return {
        **kept,
        "consumes": list(content),
        "produces": ["application/json"],
        "parameters": [*_body_parameter(body), *(_parameter(parameter) for parameter in operation["parameters"])],
        "responses": {code: _response(response) for code, response in operation["responses"].items()},
    }


def _body_parameter(body: dict[str, Any] | None) -> list[dict[str, Any]]:
    if body is None:
        return []
    media = next(iter(body["content"].values()))
    return [{"name": "body", "in": "body", "required": body.get("required", False), "schema": _schema(media["schema"])}]


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in parameter.items() if key != "schema"}
    return {**kept, **parameter["schema"]}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    media = response["content"]["application/json"]
    return {"description": response["description"], "schema": _schema(media["schema"])}


def _schema(schema: Schema) -> Schema:
    translated = {key: value for key, value in schema.items() if key != "allOf"}
    if "$ref" in schema:
        return {**translated, "$ref": schema["$ref"].replace(REFERENCE_PREFIX, _DEFINITION_PREFIX)}
    if "allOf" in schema:  # a reference with a description; Swagger clients read the description beside the reference
        return {**translated, **_schema(schema["allOf"][0])}
    if schema.get(FREE_KEY):
        # Older kubectl refuses what `properties` does not list, so a structure that is open is published without them.
        return {key: value for key, value in translated.items() if key not in ("properties", "required")}
    if "properties" in schema:
        translated["properties"] = {name: _schema(item) for name, item in schema["properties"].items()}
    for nested in ("items", "additionalProperties"):
        if nested in schema:
            translated[nested] = _schema(schema[nested])
    return translated
