"""Tells whether a service broker would be told something else than before of where an instance is. Pure."""

import hashlib
import json

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.operation.version_matrix import known_body


def context_digest(context: JsonObject, version: str | None) -> str:
    """Tells whether a broker that speaks this version would be told something else."""
    return _digest(known_body(Verb.UPDATE, {"context": context}, version))


def namespace_digest(context: JsonObject, version: str | None) -> str:
    """The same of what is not the instance's own: its namespace's annotations."""
    known = known_body(Verb.UPDATE, {"context": context}, version).get("context")
    return _digest((known or {}).get("namespace_annotations"))


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
