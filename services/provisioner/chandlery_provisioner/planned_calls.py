"""From a decision to its OSB request, and to the note that is written down before the request is sent. Pure."""

from datetime import datetime

from chandlery.model.faults import ParametersFault
from chandlery.model.instances import InstancePropertiesState
from chandlery.osb import requests
from chandlery.osb.instance_requests import DeprovisionRequest, PollInstanceRequest, ProvisionRequest, UpdateRequest
from chandlery.reconcile.offering import Unresolved
from chandlery_provisioner.instance_notes import InFlight, Purpose
from chandlery_provisioner.instance_snapshot import (
    Call,
    Deprovision,
    InstanceSnapshot,
    Poll,
    Provision,
    Repeat,
    Update,
)


def note_of(snapshot: InstanceSnapshot, call: Call, now: datetime) -> InFlight:
    """What is written down before the call is made; the request is added when it is known."""
    if isinstance(call, Repeat):
        return call.in_flight
    is_wish = isinstance(call, Provision | Update)
    wanted = call.plan_id if isinstance(call, Provision | Update) else None
    return InFlight(
        purpose=_purpose(call),
        generation=snapshot.generation,
        started_at=now.timestamp(),
        properties=_properties(snapshot) if is_wish else None,
        wanted_plan_id=wanted or snapshot.memory.plan_id,
    )


def request_of(snapshot: InstanceSnapshot, call: Call, *, space_guid: str, cluster_id: str) -> requests.OsbRequest:
    """What to send. `space_guid` is the uid of the instance's namespace."""
    instance_id = snapshot.instance.spec.external_id
    match call:
        case Repeat():
            return requests.decode(call.in_flight.request)
        case Provision():
            return ProvisionRequest(
                instance_id=instance_id,
                service_id=call.service_id,
                plan_id=call.plan_id,
                organization_guid=cluster_id,
                space_guid=space_guid,
                context=_context(snapshot, cluster_id),
                parameters=call.parameters,
            )
        case Update():
            return UpdateRequest(
                instance_id=instance_id,
                service_id=call.service_id,
                plan_id=call.plan_id,
                parameters=call.parameters,
                context=_context(snapshot, cluster_id),
                previous_plan_id=call.previous_plan_id,
            )
        case Deprovision():
            return DeprovisionRequest(instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id)
        case Poll():
            return PollInstanceRequest(
                instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id, operation=call.operation
            )


def _purpose(call: Provision | Update | Deprovision | Poll) -> Purpose:
    match call:
        case Provision():
            return Purpose.PROVISION
        case Update():
            return Purpose.UPDATE
        case Deprovision():
            return Purpose.MITIGATE if call.is_mitigation else Purpose.DEPROVISION
        case Poll():
            return Purpose.POLL


def _context(snapshot: InstanceSnapshot, cluster_id: str) -> dict[str, str]:
    metadata = snapshot.instance.metadata
    return {
        "platform": "kubernetes",
        "namespace": metadata.namespace or "",
        "clusterid": cluster_id,
        "instance_name": metadata.name,
    }


def _properties(snapshot: InstanceSnapshot) -> InstancePropertiesState | None:
    offering, parameters = snapshot.offering, snapshot.parameters
    if isinstance(offering, Unresolved) or isinstance(parameters, ParametersFault):
        return None
    plan = offering.plan
    is_cluster = plan.kind == "ClusterServicePlan"
    return InstancePropertiesState(
        cluster_service_plan_external_name=plan.spec.external_name if is_cluster else "",
        cluster_service_plan_external_id=plan.spec.external_id if is_cluster else "",
        service_plan_external_name=None if is_cluster else plan.spec.external_name,
        service_plan_external_id=None if is_cluster else plan.spec.external_id,
        parameters=parameters.shown or None,
        parameter_checksum=parameters.checksum or None,
        user_info=snapshot.instance.spec.user_info,
    )
