"""The OpenAPI v3 documents: GET /openapi/v3 and one document a group version below it. kubectl from 1.27 reads these.

Built once and served as bytes. kubectl leaves field validation to the server when it finds, for
a kind, a PATCH operation with the kind's `x-kubernetes-group-version-kind` and a `fieldValidation` parameter.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from chandlery.model.objects.rbac import RBAC_GROUP
from chandlery_gateway.kube.openapi.openapi_meta_types import GVK_KEY, META_PREFIX
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind, component_schemas
from chandlery_gateway.kube.openapi.openapi_translation import Schema, reference

PATCH_MEDIA_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)
# kubectl apply has the kinds of Kubernetes compiled in and patches them this way, published or not. Published, it takes
# merge rules from our schemas, which name none: lists are replaced whole, and what arrives reads as a JSON merge patch.
CORE_PATCH_MEDIA_TYPES: Final = (*PATCH_MEDIA_TYPES, "application/strategic-merge-patch+json")
ACTION_KEY: Final = "x-kubernetes-action"

_PRETTY: Final = ("pretty", "string", "Indent the answer if 'true'.")
_DRY_RUN: Final = ("dryRun", "string", "'All' checks the request as usual and stores nothing.")
_FIELD_MANAGER: Final = ("fieldManager", "string", "Name of who or what makes the change.")
_FIELD_VALIDATION: Final = ("fieldValidation", "string", "Unknown or repeated fields: Ignore, Warn or Strict (refuse).")
_FORCE: Final = ("force", "boolean", "Take fields that others own; for server-side apply only.")
_WRITE: Final = (_DRY_RUN, _FIELD_MANAGER, _FIELD_VALIDATION)
_LIST: Final = (
    ("allowWatchBookmarks", "boolean", "Let the watch send bookmarks."),
    ("continue", "string", "Token for the next page, from the answer before."),
    ("fieldSelector", "string", "Restricts the list by fields."),
    ("labelSelector", "string", "Restricts the list by labels."),
    ("limit", "integer", "Longest page wanted, in objects."),
    ("resourceVersion", "string", "Point in the history of changes to read from."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Let the watch begin with what is there, or not."),
    ("timeoutSeconds", "integer", "Longest duration of the call, in seconds."),
    ("watch", "boolean", "Answer with a stream of changes."),
)
_DELETE: Final = (
    _DRY_RUN,
    ("gracePeriodSeconds", "integer", "Seconds before the object is removed."),
    ("propagationPolicy", "string", "Orphan, Background or Foreground."),
)
_COLLECTION: Final = (  # HTTP method, verb that must be served, action, name in the operation id
    ("get", "list", "list", "list"),
    ("post", "create", "post", "create"),
    ("delete", "deletecollection", "deletecollection", "delete"),
)
_ITEM: Final = (
    ("get", "get", "get", "read"),
    ("put", "update", "put", "replace"),
    ("patch", "patch", "patch", "patch"),
    ("delete", "delete", "delete", "delete"),
)
_QUERY: Final = {
    "list": _LIST,
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, _FORCE),
    "delete": _DELETE,
    "deletecollection": (*_DELETE, *_LIST),
}


def document_path(group: str, version: str) -> str:
    """Path of a group version below /openapi/v3/, and its key in the index: "api/v1", "apis/<group>/<version>"."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def address(path: str, digest: str) -> str:
    """Where a document with that content is: clients may keep it for as long as its address stands."""
    return f"/openapi/v3/{path}?hash={digest}"


def index(digests: Mapping[str, str]) -> dict[str, Any]:
    """Body of GET /openapi/v3: the digests of the served documents by `document_path`."""
    return {"paths": {path: {"serverRelativeURL": address(path, digest)} for path, digest in digests.items()}}


def document(group_version: str, kinds: Iterable[DocumentedKind], *, release: str = "unversioned") -> dict[str, Any]:
    """The document of one group version ("v1", "servicecatalog.k8s.io/v1beta1"), made of the kinds that are in it."""
    members = [kind for kind in kinds if kind.group_version == group_version]
    paths: dict[str, Any] = {}
    for kind in members:
        paths |= _kind_paths(kind)
    info = {"title": "Chandlery", "version": release}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": component_schemas(members)}}


def _kind_paths(kind: DocumentedKind) -> dict[str, Any]:
    root = f"/{document_path(kind.group, kind.version)}"
    scope = [_parameter("path", ("namespace", "string", "Namespace of the object."))] if kind.namespaced else []
    name = [_parameter("path", ("name", "string", f"Name of the {kind.kind}."))]
    collection = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    paths = {
        collection: _path_item(kind, _COLLECTION, parameters=scope),
        f"{collection}/{{name}}": _path_item(kind, _ITEM, parameters=[*name, *scope]),
    }
    if kind.has_status:
        paths[f"{collection}/{{name}}/status"] = _path_item(kind, _ITEM[:3], parameters=[*name, *scope], part="Status")
    if kind.namespaced:
        paths[f"{root}/{kind.plural}"] = _path_item(kind, _COLLECTION[:1], parameters=[], part="ForAllNamespaces")
    return {path: item for path, item in paths.items() if len(item) > 1}


def _path_item(
    kind: DocumentedKind, rows: tuple[tuple[str, str, str, str], ...], *, parameters: list[Schema], part: str = ""
) -> dict[str, Any]:
    item = {
        method: _operation(kind, action, operation_id=_operation_id(kind, action, verb=name, part=part))
        for method, verb, action, name in rows
        if verb in kind.verbs
    }
    return {**item, "parameters": [*parameters, _parameter("query", _PRETTY)]}


def _operation_id(kind: DocumentedKind, action: str, *, verb: str, part: str) -> str:
    group = kind.group.split(".")[0].capitalize() if kind.group else "Core"
    scope = "Namespaced" if kind.namespaced and part != "ForAllNamespaces" else ""
    collection = "Collection" if action == "deletecollection" else ""
    return f"{verb}{group}{kind.version.capitalize()}{collection}{scope}{kind.kind}{part}"


def _operation(kind: DocumentedKind, action: str, *, operation_id: str) -> dict[str, Any]:
    operation = {
        "description": f"{action} {kind.plural}",
        "operationId": operation_id,
        "tags": [kind.group_version.replace(".k8s.io", "").replace("/", "_")],
        "parameters": [_parameter("query", row) for row in _QUERY.get(action, ())],
        "responses": _responses(kind, action),
        ACTION_KEY: action,
        GVK_KEY: kind.gvk(),
    }
    body = _request_body(kind, action)
    return {**operation, "requestBody": body} if body else operation


def _request_body(kind: DocumentedKind, action: str) -> dict[str, Any] | None:
    match action:
        case "get" | "list":
            return None
        case "patch":
            media_types = CORE_PATCH_MEDIA_TYPES if kind.group in ("", RBAC_GROUP) else PATCH_MEDIA_TYPES
            return {"required": True, "content": _content(f"{META_PREFIX}.Patch", *media_types)}
        case "delete" | "deletecollection":
            return {"content": _content(f"{META_PREFIX}.DeleteOptions", "application/json")}
        case _:
            return {"required": True, "content": _content(kind.schema_name, "application/json")}


def _responses(kind: DocumentedKind, action: str) -> dict[str, Any]:
    deletion = action in ("delete", "deletecollection")
    name = f"{META_PREFIX}.Status" if deletion else kind.schema_name + ("List" if action == "list" else "")
    codes = {"200": "OK", **({"201": "Created"} if action in ("post", "put", "patch") else {})}
    return {code: {"description": text, "content": _content(name, "application/json")} for code, text in codes.items()}


def _content(schema_name: str, *media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": reference(schema_name)} for media_type in media_types}


def _parameter(place: str, row: tuple[str, str, str]) -> Schema:
    name, kind, description = row
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": {"type": kind},
    }
