"""JSON Schema as pydantic writes it, rewritten as the OpenAPI 3.0 subset that kubectl parses. For `openapi_schemas`.

The target is narrower than JSON Schema: kubectl takes no `null`, no `const` and no alternatives, so an optional becomes
its plain type, a constant an enumeration of one, a union a free value. Keywords that are not listed here are left out.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

REFERENCE_PREFIX: Final = "#/components/schemas/"
FREE_KEY: Final = "x-kubernetes-preserve-unknown-fields"

_PLAIN_KEYS: Final = ("maxLength", "minLength", "pattern", "maxItems", "minItems", "maximum", "minimum", "multipleOf")
_EXCLUSIVE_BOUNDS: Final = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
_LIST_KEYS: Final = {"Condition": "type", "OwnerReference": "uid"}
_FORMATS: Final = {"binary": "byte", "base64": "byte", "base64url": "byte"}
_DEFAULT_FORMATS: Final = {"integer": "int64", "number": "double"}


class SchemaTranslation:
    """Translates the definitions of one pydantic document; `names` maps each definition key to its published name."""

    def __init__(self, definitions: Mapping[str, Schema], names: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._names = names

    def structures(self) -> dict[str, Schema]:
        """All definitions that get a name of their own, by published name.

        Enumerations and root models are written out where they are used, as Kubernetes does.
        """
        return {
            self._names[key]: self._object(self._definitions[key]) for key in self._definitions if self._is_named(key)
        }

    def _is_named(self, key: str) -> bool:
        return "properties" in self._definitions[key]

    def _field(self, source: Schema) -> Schema:
        translated = described(self._type(source), source.get("description", ""))
        default = source.get("default")
        if isinstance(default, str | int | float) and default != "":
            translated["default"] = default
        return translated

    def _type(self, source: Schema) -> Schema:
        if "$ref" in source:
            return self._reference(source["$ref"].rpartition("/")[2])
        variants: list[Schema] = source.get("anyOf") or source.get("oneOf") or source.get("allOf") or []
        variants = [variant for variant in variants if variant.get("type") != "null"]
        if variants:
            return self._field(variants[0]) if len(variants) == 1 else _union(variants)
        match source.get("type"):
            case "object":
                return self._object(source)
            case "array":
                items = source.get("items", {})
                return {"type": "array", "items": self._field(items), **_plain(source), **_list_kind(items)}
            case None if "enum" not in source and "const" not in source:
                return {FREE_KEY: True}
            case _:
                return _scalar(source)

    def _reference(self, key: str) -> Schema:
        return reference(self._names[key]) if self._is_named(key) else self._field(self._definitions[key])

    def _object(self, source: Schema) -> Schema:
        translated = described({"type": "object"}, source.get("description", ""))
        values = source.get("additionalProperties")
        if "properties" not in source:
            typed = (
                {"additionalProperties": self._field(values)}
                if isinstance(values, dict) and values
                else {FREE_KEY: True}
            )
            return {**translated, **typed}
        translated["properties"] = {name: self._field(item) for name, item in source["properties"].items()}
        if source.get("required"):
            translated["required"] = source["required"]
        if values is True:
            translated[FREE_KEY] = True
        return translated


def reference(name: str) -> Schema:
    """A `$ref` to the component schema of that published name."""
    return {"$ref": REFERENCE_PREFIX + name}


def described(schema: Schema, description: str) -> Schema:
    """The schema with a description, if there is one.

    OpenAPI 3.0 ignores what stands beside a `$ref`, so a reference is wrapped in `allOf`, as kube-apiserver does.
    """
    if not description:
        return schema
    return (
        {"allOf": [schema], "description": description} if "$ref" in schema else {**schema, "description": description}
    )


def _list_kind(items: Schema) -> Schema:
    """How server-side apply merges the list, for tools that foresee what it does; by default it is atomic."""
    key = _LIST_KEYS.get(items.get("$ref", "").rpartition("/")[2].rpartition("__")[2])
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]} if key else {}


def _union(variants: list[Schema]) -> Schema:
    types = {variant.get("type") for variant in variants}
    return {"type": "string", "format": "int-or-string"} if types == {"integer", "string"} else {FREE_KEY: True}


def _scalar(source: Schema) -> Schema:
    values = [source["const"]] if "const" in source else source.get("enum", [])
    kind = source.get("type") or ("integer" if all(isinstance(value, int) for value in values) else "string")
    translated = {"type": kind, **_plain(source), **({"enum": values} if values else {})}
    for bound, exclusive in _EXCLUSIVE_BOUNDS:
        if exclusive in source:  # OpenAPI 3.0 wants a flag beside the bound where JSON Schema has a number of its own
            translated |= {bound: source[exclusive], exclusive: True}
    found = source.get("format", _DEFAULT_FORMATS.get(kind))
    return {**translated, "format": _FORMATS.get(found, found)} if found else translated


def _plain(source: Schema) -> Schema:
    return {key: source[key] for key in _PLAIN_KEYS if key in source}
