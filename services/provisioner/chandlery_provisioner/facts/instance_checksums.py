"""What a service broker was told of an instance, as checksums and digests, to see whether there is news. Pure.

Checksums are brought into the form in use before they are compared; the status is written so with the end of the round.
"""

import hashlib
import json

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Verb
from chandlery.reconcile.operation.version_matrix import known_body
from chandlery.reconcile.parameters.keyed_checksums import ObjectChecksums
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery_provisioner.facts.instance_notes import InstanceMemory, OpenInstanceRequest, RequestDigest

Recorded = tuple[ServiceInstance, InstanceMemory, OpenInstanceRequest | None]


def with_renewed_checksums(
    instance: ServiceInstance,
    memory: InstanceMemory,
    request: OpenInstanceRequest | None,
    parameters: Parameters | ParametersFault,
    checksums: ObjectChecksums,
) -> Recorded:
    """Instance, memory and note with checksums under the key in use, where they can be known."""

    def renewed(digest: RequestDigest) -> RequestDigest:
        return digest.model_copy(update={"checksum": checksums.renewed(digest.checksum, parameters)})

    status = instance.status
    states = {
        "external_properties": checksums.renewed_in(status.external_properties, parameters),
        "in_progress_properties": checksums.renewed_in(status.in_progress_properties, parameters),
    }
    instance = instance.model_copy(update={"status": status.model_copy(update=states)})
    memory = memory.model_copy(
        update={"last_attempted": renewed(memory.last_attempted), "last_applied": renewed(memory.last_applied)}
    )
    if request is not None:
        properties = checksums.renewed_in(request.properties, parameters)
        request = request.model_copy(update={"properties": properties, "digest": renewed(request.digest)})
    return instance, memory, request


def context_digest(context: JsonObject, version: str | None) -> str:
    """Tells whether a broker that speaks this version would be told something else."""
    return _digest(known_body(Verb.UPDATE, {"context": context}, version))


def namespace_digest(context: JsonObject, version: str | None) -> str:
    """The same of what is not the instance's own: its namespace's annotations."""
    known = known_body(Verb.UPDATE, {"context": context}, version).get("context")
    return _digest((known or {}).get("namespace_annotations"))


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
