"""The apimachinery types that requests and answers of every group share: DeleteOptions, Status, ListMeta and so on.

No model of ours stands behind them: they belong to the protocol, not to the catalog. Used by `openapi_schemas` and
`openapi_v3`.
"""

from typing import Final

from chandlery_gateway.kube.openapi_translation import Schema, described, reference

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


def meta_types(versions: list[dict[str, str]]) -> dict[str, Schema]:
    """All of them by full name; `versions` has one group-version-kind of each group version that is served."""
    list_meta = {"resourceVersion": _TEXT, "continue": _TEXT, "remainingItemCount": _COUNT, "selfLink": _TEXT}
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
    causes = {"type": "array", "items": meta_reference("StatusCause")}
    details = {
        "name": _TEXT,
        "group": _TEXT,
        "kind": _TEXT,
        "uid": _TEXT,
        "causes": causes,
        "retryAfterSeconds": _COUNT,
    }
    options_of = [{**version, "kind": "DeleteOptions"} for version in versions]
    types = {
        "DeleteOptions": {**structure("DeleteOptions may be sent with a deletion.", options), GVK_KEY: options_of},
        "ListMeta": structure("ListMeta is the metadata of a list.", list_meta),
        "Patch": {
            "type": "object",
            "description": "Patch is a change in the notation that the Content-Type header names.",
        },
        "Preconditions": structure("Preconditions of a deletion.", {"resourceVersion": _TEXT, "uid": _TEXT}),
        "Status": {
            **structure("Status answers a call that returns no object.", status),
            GVK_KEY: [{"group": "", "kind": "Status", "version": "v1"}],
        },
        "StatusCause": structure("StatusCause names one fault.", {"field": _TEXT, "message": _TEXT, "reason": _TEXT}),
        "StatusDetails": structure("StatusDetails says which object a Status speaks of, and why.", details),
    }
    return {f"{META_PREFIX}.{name}": schema for name, schema in types.items()}
