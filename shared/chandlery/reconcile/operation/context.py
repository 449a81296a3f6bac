"""The context of a request: where an object is, and those of its annotations that its service broker is told. Pure.

Source: OSB profile, "Context Object". What an older version does not know of it is left out on the wire. No annotation
is told by default: they are full of what is nobody else's business.
"""

from collections.abc import Mapping, Sequence

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import JsonObject

NEVER_TOLD = ("kubectl.kubernetes.io/", "chandlery.io/")
"""The whole last manifest, and actions that are requested of us."""


def context_of(
    instance: ObjectMeta, namespace: ObjectMeta | None, *, cluster_id: str, prefixes: Sequence[str]
) -> JsonObject:
    """The context object of provision, update and bind. Without prefixes there is no word on annotations at all."""
    context: JsonObject = {
        "platform": "kubernetes",
        "namespace": instance.namespace or "",
        "clusterid": cluster_id,
        "instance_name": instance.name,
    }
    if prefixes:
        of_namespace = namespace.annotations if namespace else None
        context["namespace_annotations"] = annotations_to_tell(of_namespace, prefixes)
        context["instance_annotations"] = annotations_to_tell(instance.annotations, prefixes)
    return context


def annotations_to_tell(annotations: Mapping[str, str] | None, prefixes: Sequence[str]) -> dict[str, str]:
    """Those whose key begins with one of the prefixes, in the order of their keys."""
    told = tuple(prefix for prefix in prefixes if prefix)
    return {
        key: value
        for key, value in sorted((annotations or {}).items())
        if key.startswith(told) and not key.startswith(NEVER_TOLD)
    }
