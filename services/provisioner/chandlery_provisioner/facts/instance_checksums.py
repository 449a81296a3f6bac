"""Brings the checksums that are on record of an instance into the form in use, before they are compared. Pure.

Called with what was read of an instance; the status is written so with the end of the round.
"""

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.instances import ServiceInstance
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
