"""The context of a request: where an instance is, and those of its annotations that its service broker is told. Pure.

Source: OSB profile, "Context Object". What an older version does not know of it is left out on the wire.
"""

import hashlib
import json

from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.operation.context_annotations import annotations_to_tell
from chandlery.reconcile.operation.version_matrix import known_body


def context_of(
    instance: ObjectMeta, namespace: ObjectMeta | None, *, cluster_id: str, prefixes: tuple[str, ...]
) -> JsonObject:
    """The context object of provision and update. Without prefixes there is no word on annotations at all."""
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


def context_digest(context: JsonObject, version: str | None) -> str:
    """Tells whether a broker that speaks this version would be told something else."""
    return _digest(known_body(Verb.UPDATE, {"context": context}, version))


def namespace_digest(context: JsonObject, version: str | None) -> str:
    """The same of what is not the instance's own: its namespace's annotations."""
    known = known_body(Verb.UPDATE, {"context": context}, version).get("context")
    return _digest((known or {}).get("namespace_annotations"))


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
