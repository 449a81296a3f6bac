"""From the served kinds to the schemas that Kubernetes clients read: first step of every published OpenAPI document.

In come the kinds with their pydantic models, out goes a map of OpenAPI v3 component schemas, named as kube-apiserver
names them. `openapi_v3` adds the paths, `openapi_v2` rewrites the result as Swagger 2.0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chandlery_gateway.kube.openapi.openapi_meta_types import (
    GVK_KEY,
    META_PREFIX,
    TYPE_FIELDS,
    meta_reference,
    meta_types,
    structure,
)
from chandlery_gateway.kube.openapi.openapi_translation import Schema, SchemaTranslation, described, reference

ALL_VERBS: Final = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})

_KUBERNETES_GROUPS: Final = frozenset(
    {"", "authentication.k8s.io", "authorization.k8s.io", "events.k8s.io", "rbac.authorization.k8s.io"}
)
_META_MODELS: Final = frozenset(
    {"ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector", "LabelSelectorRequirement"}
)
_ROOT_TEXTS: Final = {
    "metadata": "Name, namespace, labels and whatever else every object has.",
    "spec": "The desired state. Users write it.",
    "status": "The observed state. Only the server writes it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentedKind:
    """What the documents need to know of one served kind; each has a model of its own, the group is "" for core."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    model: type[BaseModel]
    has_status: bool
    verbs: frozenset[str] = ALL_VERBS

    @property
    def group_version(self) -> str:
        """The value of `apiVersion`: "v1", "servicecatalog.k8s.io/v1beta1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def schema_name(self) -> str:
        """Full schema name, as kube-apiserver writes it: for custom groups their DNS labels reversed, version, kind."""
        package = ".".join(reversed(self.group.split(".")))
        if self.group in _KUBERNETES_GROUPS:
            package = f"io.k8s.api.{self.group.partition('.')[0] or 'core'}"
        return f"{package}.{self.version}.{self.kind}"

    def gvk(self, *, suffix: str = "") -> dict[str, str]:
        """Value of the `x-kubernetes-group-version-kind` extension."""
        return {"group": self.group, "kind": self.kind + suffix, "version": self.version}


def component_schemas(kinds: Iterable[DocumentedKind]) -> dict[str, Schema]:
    """Component schemas by full name: every kind, its list, all nested models and the meta.v1 helper types.

    Raises:
        ValueError: two different models of one group version would get the same schema name.
    """
    by_version: dict[str, list[DocumentedKind]] = {}
    for kind in kinds:
        by_version.setdefault(kind.group_version, []).append(kind)
    schemas = meta_types([members[0].gvk() for members in by_version.values()])
    for members in by_version.values():
        schemas |= _version_schemas(members)
    return dict(sorted(schemas.items()))


def _version_schemas(kinds: list[DocumentedKind]) -> dict[str, Schema]:
    roots, document = models_json_schema([(kind.model, "validation") for kind in kinds], by_alias=True)
    definitions: dict[str, Schema] = document.get("$defs", {})
    prefix = kinds[0].schema_name.rpartition(".")[0]
    names = {key: _full_name(key, prefix) for key in definitions}
    for kind in kinds:
        names[roots[kind.model, "validation"]["$ref"].rpartition("/")[2]] = kind.schema_name
    if len(set(names.values())) < len(names):
        raise ValueError(f"two models of {kinds[0].group_version} share a schema name: {sorted(names)}")
    schemas = SchemaTranslation(definitions, names).structures()
    for kind in kinds:
        schemas[kind.schema_name] = _root(schemas[kind.schema_name], kind)
        if "list" in kind.verbs:
            schemas[f"{kind.schema_name}List"] = _list_of(kind)
    return schemas


def _full_name(key: str, prefix: str) -> str:
    # Pydantic puts the module before the class name, joined by "__", when two classes share theirs.
    class_name = key.rpartition("__")[2]
    return f"{META_PREFIX if class_name in _META_MODELS else prefix}.{class_name}"


def _root(schema: Schema, kind: DocumentedKind) -> Schema:
    # kubectl fills in what identifies the object, and says so better itself when it cannot: these are never "required".
    required = [name for name in schema.get("required", []) if name not in ("apiVersion", "kind", "metadata")]
    properties = {**schema["properties"], **TYPE_FIELDS}
    for name, description in _ROOT_TEXTS.items():
        if "$ref" in properties.get(name, {}):  # bare, so the model says nothing of it
            properties[name] = described(properties[name], description)
    root = {**schema, "properties": properties, "required": required, GVK_KEY: [kind.gvk()]}
    return {key: value for key, value in root.items() if value}


def _list_of(kind: DocumentedKind) -> Schema:
    items: Schema = {"type": "array", "items": reference(kind.schema_name)}
    fields = {
        **TYPE_FIELDS,
        "items": described(items, f"The {kind.plural} found."),
        "metadata": described(
            meta_reference("ListMeta"), "Where the list stands in the history of changes, and how to go on reading."
        ),
    }
    listed = structure(f"{kind.kind}List is a list of {kind.plural}.", fields)
    return {**listed, "required": ["items"], GVK_KEY: [kind.gvk(suffix="List")]}
