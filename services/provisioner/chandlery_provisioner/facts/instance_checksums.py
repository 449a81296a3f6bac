"""Brings the checksums that are on record of an instance into the form in use, before they are compared. Pure.

Called with what was read of an instance; the status is written so with the end of the round.
"""

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.instances import ServiceInstance
from chandlery.reconcile.parameters.keyed_checksums import ObjectChecksums
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery_provisioner.facts.instance_notes import Asked, InFlight, InstanceMemory

Recorded = tuple[ServiceInstance, InstanceMemory, InFlight | None]


def with_renewed_checksums(
    instance: ServiceInstance,
    memory: InstanceMemory,
    in_flight: InFlight | None,
    parameters: Parameters | ParametersFault,
    checksums: ObjectChecksums,
) -> Recorded:
    """Instance, memory and note with checksums under the key in use, where they can be known."""

    def renewed(asked: Asked) -> Asked:
        return asked.model_copy(update={"checksum": checksums.renewed(asked.checksum, parameters)})

    status = instance.status
    states = {
        "external_properties": checksums.renewed_in(status.external_properties, parameters),
        "in_progress_properties": checksums.renewed_in(status.in_progress_properties, parameters),
    }
    instance = instance.model_copy(update={"status": status.model_copy(update=states)})
    memory = memory.model_copy(update={"asked": renewed(memory.asked), "told": renewed(memory.told)})
    if in_flight is not None:
        properties = checksums.renewed_in(in_flight.properties, parameters)
        in_flight = in_flight.model_copy(update={"properties": properties, "asked": renewed(in_flight.asked)})
    return instance, memory, in_flight
