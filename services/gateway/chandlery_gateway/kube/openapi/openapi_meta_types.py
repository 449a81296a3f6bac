"""The apimachinery types that requests and answers of every group share: DeleteOptions, Status, ListMeta and so on.

No model of ours stands behind them: they belong to the protocol, not to the catalog. Used by `openapi_schemas` and
`openapi_v3`.
"""

from typing import Final

from chandlery_gateway.kube.openapi.openapi_translation import Schema, described, reference

META_PREFIX: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
GVK_KEY: Final = "x-kubernetes-group-version-kind"

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "format": "int64"}
TYPE_FIELDS: Final[dict[str, Schema]] = {
    "apiVersion": described(_TEXT, "Version of the schema of this object: group/version, for core kinds the version."),
    "kind": described(_TEXT, "Name of the kind that this object is of, in CamelCase. It cannot be changed."),
}


def meta_reference(name: str) -> Schema:
    """A reference to one of these types, or to another model that apimachinery names."""
    return reference(f"{META_PREFIX}.{name}")


def structure(description: str, properties: dict[str, Schema]) -> Schema:
    """An object with these fields."""
    return {"type": "object", "description": description, "properties": properties}


_LIST_META: Final[dict[str, Schema]] = {
    "resourceVersion": described(_TEXT, "Point in the history of changes that the list shows."),
    "continue": described(_TEXT, "Token for the next page; absent on the last one."),
    "remainingItemCount": described(_COUNT, "How many objects are left after this page, if that is known."),
    "selfLink": described(_TEXT, "Deprecated; not sent."),
}
_CAUSES: Final[Schema] = {"type": "array", "items": meta_reference("StatusCause")}
_DETAILS: Final[dict[str, Schema]] = {
    "name": described(_TEXT, "Name of the object."),
    "group": described(_TEXT, "API group of the object."),
    "kind": described(_TEXT, "Kind of the object, or the plural of it."),
    "uid": described(_TEXT, "UID of the object."),
    "causes": described(_CAUSES, "What is wrong, one by one."),
    "retryAfterSeconds": described(_COUNT, "When to try again."),
}
_CAUSE: Final[dict[str, Schema]] = {
    "field": described(_TEXT, "Path of the field: `spec.parametersFrom[0].secretKeyRef.name`."),
    "message": described(_TEXT, "What is wrong, for a person."),
    "reason": described(_TEXT, "What is wrong, for a program: one CamelCase word."),
}
_PRECONDITIONS: Final[dict[str, Schema]] = {
    "resourceVersion": described(_TEXT, "Version that the object has to have."),
    "uid": described(_TEXT, "UID that the object has to have."),
}


def meta_types(versions: list[dict[str, str]]) -> dict[str, Schema]:
    """All of them by full name; `versions` has one group-version-kind of each group version that is served."""
    options = {
        **TYPE_FIELDS,
        "dryRun": described({"type": "array", "items": _TEXT}, "`All` checks the request and changes nothing."),
        "gracePeriodSeconds": described(_COUNT, "Seconds before the object is removed; zero means at once."),
        "orphanDependents": described({"type": "boolean"}, "Deprecated; use propagationPolicy."),
        "preconditions": described(
            meta_reference("Preconditions"), "What must hold for the deletion to go ahead (409 otherwise)."
        ),
        "propagationPolicy": described(_TEXT, "What happens to dependents: Orphan, Background or Foreground."),
    }
    status = {
        **TYPE_FIELDS,
        "code": described({"type": "integer", "format": "int32"}, "HTTP status code."),
        "details": described(
            meta_reference("StatusDetails"), "More about the object and the fault, as the reason allows."
        ),
        "message": described(_TEXT, "What happened, for a person."),
        "metadata": described(meta_reference("ListMeta"), "Standard list metadata."),
        "reason": described(_TEXT, "What happened, for a program: one CamelCase word."),
        "status": described(_TEXT, "Success or Failure."),
    }
    options_of = [{**version, "kind": "DeleteOptions"} for version in versions]
    types = {
        "DeleteOptions": {**structure("DeleteOptions may be sent with a deletion.", options), GVK_KEY: options_of},
        "ListMeta": structure("ListMeta is the metadata of a list.", _LIST_META),
        "Patch": {
            "type": "object",
            "description": "Patch is a change in the notation that the Content-Type header names.",
        },
        "Preconditions": structure("Preconditions of a deletion.", _PRECONDITIONS),
        "Status": {
            **structure("Status answers a call that returns no object.", status),
            GVK_KEY: [{"group": "", "kind": "Status", "version": "v1"}],
        },
        "StatusCause": structure("StatusCause names one fault.", _CAUSE),
        "StatusDetails": structure("StatusDetails says which object a Status speaks of, and why.", _DETAILS),
    }
    return {f"{META_PREFIX}.{name}": schema for name, schema in types.items()}
