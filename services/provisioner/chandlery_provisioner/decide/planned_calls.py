"""From a decision to its OSB request, and to the note that is written down before the request is sent. Pure."""

from datetime import datetime

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.instances import InstancePropertiesState
from chandlery.osb.operations import requests
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters, hidden_values
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_provisioner.facts.instance_checksums import context_digest, namespace_digest
from chandlery_provisioner.facts.instance_notes import InstancePurpose, OpenInstanceRequest, RequestDigest
from chandlery_provisioner.facts.instance_snapshot import (
    Call,
    Deprovision,
    FetchInstance,
    InstanceSnapshot,
    PollInstance,
    Provision,
    Update,
)


def secrets_of(snapshot: InstanceSnapshot, request: OsbRequest) -> KnownSecrets:
    """The parameters from Secrets: those of now, and those that this request repeats."""
    status, current = snapshot.instance.status, snapshot.parameters
    states = (status.external_properties, status.in_progress_properties)
    shown = [state.parameters for state in states if state is not None]
    if isinstance(current, Parameters):
        shown.append(current.shown)
        values = hidden_values(current.sent, *shown)
    else:
        values = []
    values += hidden_values(getattr(request, "parameters", None) or {}, *shown)
    return KnownSecrets(values)


def note_of(snapshot: InstanceSnapshot, call: Call, now: datetime) -> OpenInstanceRequest:
    """What is written down before the call is made; the request is added when it is known."""
    if isinstance(call, Repeat):
        return call.request
    note = OpenInstanceRequest(
        purpose=_purpose(call),
        generation=snapshot.generation,
        started_at=now.timestamp(),
        wanted_plan_id=snapshot.memory.plan_id,
        is_own=_is_own(snapshot, call),
    )
    if not isinstance(call, Provision | Update):
        return note
    sent: dict[str, object] = {"properties": _properties(snapshot, call), "digest": _digest_of(snapshot)}
    if isinstance(call, Provision):
        sent["defaults"] = snapshot.defaults
    return note.model_copy(update={**sent, "wanted_plan_id": call.plan_id or snapshot.memory.plan_id})


def kept_of(note: OpenInstanceRequest) -> OpenInstanceRequest:
    """What stays on record until the answer is: by then nobody knows what came of the request, whenever it was sent."""
    return note.model_copy(update={"is_answered": False})


def request_of(snapshot: InstanceSnapshot, call: Call, *, space_guid: str, cluster_id: str) -> requests.OsbRequest:
    """What to send. `space_guid` is the uid of the instance's namespace."""
    instance_id = snapshot.instance.spec.external_id
    match call:
        case Repeat():
            return requests.decode(call.request.encoded)
        case Provision():
            return ProvisionRequest(
                instance_id=instance_id,
                service_id=call.service_id,
                plan_id=call.plan_id,
                organization_guid=cluster_id,
                space_guid=space_guid,
                context=snapshot.context,
                parameters=call.parameters,
                maintenance_version=call.maintenance_version,
            )
        case Update():
            return UpdateRequest(
                instance_id=instance_id,
                service_id=call.service_id,
                plan_id=call.plan_id or _unchanged_plan(snapshot, call),
                parameters=call.parameters,
                context=snapshot.context,
                previous_plan_id=call.previous_plan_id,
                maintenance_version=call.maintenance_version,
                previous_maintenance_version=call.previous_maintenance_version,
            )
        case Deprovision():
            return DeprovisionRequest(instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id)
        case PollInstance():
            return PollInstanceRequest(
                instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id, operation=call.operation
            )
        case FetchInstance():
            return GetInstanceRequest(instance_id=instance_id, service_id=call.service_id, plan_id=call.plan_id)


def _unchanged_plan(snapshot: InstanceSnapshot, call: Update) -> str | None:
    # OSB v2.17 allows to leave it out; there are brokers that look it up all the same, and find no plan called "".
    names_it = call.parameters is not None and snapshot.policy.names_unchanged_plan
    return (call.previous_plan_id or None) if names_it else None


def _purpose(call: Provision | Update | Deprovision | PollInstance | FetchInstance) -> InstancePurpose:
    match call:
        case Provision():
            return InstancePurpose.PROVISION
        case Update():
            return InstancePurpose.UPDATE
        case Deprovision():
            return InstancePurpose.MITIGATE if call.is_mitigation else InstancePurpose.DEPROVISION
        case PollInstance():
            return InstancePurpose.POLL
        case FetchInstance():
            return InstancePurpose.FETCH


def _digest_of(snapshot: InstanceSnapshot) -> RequestDigest:
    parameters, version = snapshot.parameters, snapshot.api_version
    return RequestDigest(
        update_requests=snapshot.instance.spec.update_requests,
        checksum="" if isinstance(parameters, ParametersFault) else parameters.checksum,
        context=context_digest(snapshot.context, version),
        namespace=namespace_digest(snapshot.context, version),
    )


def _is_own(snapshot: InstanceSnapshot, call: Call) -> bool:
    """Whether no user asked for it: then there is nobody to name in the originating identity."""
    status, last_applied = snapshot.instance.status, snapshot.memory.last_applied
    # A specification is reconciled only in the end; what comes after came of a Secret, a namespace or ourselves.
    is_reconciled = status.reconciled_generation >= status.observed_generation == snapshot.generation
    match call:
        case Deprovision():
            return call.is_mitigation
        case FetchInstance():
            return True
        case PollInstance():
            is_update = status.current_operation == "Update" and is_reconciled
            return is_update or (status.orphan_mitigation_in_progress and not snapshot.is_deleted)
        case Update():
            digest = _digest_of(snapshot)
            was = (last_applied.checksum, last_applied.namespace)
            return is_reconciled and (digest.checksum, digest.namespace) != was
        case _:
            return False


def _properties(snapshot: InstanceSnapshot, call: Provision | Update) -> InstancePropertiesState | None:
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
        maintenance_version=_version_of(call),
        user_info=snapshot.instance.spec.user_info,
    )


def _version_of(call: Provision | Update) -> str | None:
    if call.maintenance_version or isinstance(call, Provision):
        return call.maintenance_version
    return call.previous_maintenance_version
