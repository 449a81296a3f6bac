"""From a decision to its OSB request, and to the note that is written down before the request is sent. Pure."""

from datetime import datetime

from chandlery.model.bindings import BindingPropertiesState
from chandlery.model.faults import ParametersFault
from chandlery.osb import requests
from chandlery.osb.binding_requests import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery_binder.binding_notes import InFlight, Purpose
from chandlery_binder.binding_snapshot import (
    Bind,
    BindingSnapshot,
    Call,
    Fetch,
    Inject,
    Poll,
    Repeat,
    Unbind,
)


def note_of(snapshot: BindingSnapshot, call: Call, now: datetime) -> InFlight:
    """What is written down before the call is made; the request is added when it is known."""
    if isinstance(call, Repeat | Inject):
        return call.in_flight
    return InFlight(
        purpose=_purpose(call),
        started_at=now.timestamp(),
        placement=call.placement,
        properties=_properties(snapshot) if isinstance(call, Bind) else None,
    )


def request_of(snapshot: BindingSnapshot, call: Call, *, app_guid: str, cluster_id: str) -> requests.OsbRequest | None:
    """What to send; None for an injection, which sends nothing."""
    binding_id = snapshot.binding.spec.external_id
    match call:
        case Inject():
            return None
        case Repeat():
            return requests.decode(call.in_flight.request)
        case Bind():
            return BindRequest(
                **_ids(call, binding_id),
                app_guid=app_guid or None,
                context=_context(snapshot, cluster_id),
                parameters=call.parameters,
                accepts_incomplete=call.accepts_incomplete,
            )
        case Unbind():
            # Always: a broker that revokes slowly may, and needs no credentials to be fetched for it.
            return UnbindRequest(**_ids(call, binding_id), accepts_incomplete=True)
        case Poll():
            return PollBindingRequest(**_ids(call, binding_id), operation=call.operation)
        case Fetch():
            return GetBindingRequest(**_ids(call, binding_id))


def _purpose(call: Bind | Unbind | Poll | Fetch) -> Purpose:
    match call:
        case Bind():
            return Purpose.BIND
        case Unbind():
            return Purpose.MITIGATE if call.is_mitigation else Purpose.UNBIND
        case Poll():
            return Purpose.POLL
        case Fetch():
            return Purpose.FETCH


def _ids(call: Bind | Unbind | Poll | Fetch, binding_id: str) -> dict[str, str]:
    place = call.placement
    return {
        "instance_id": place.instance_id,
        "binding_id": binding_id,
        "service_id": place.service_id,
        "plan_id": place.plan_id,
    }


def _context(snapshot: BindingSnapshot, cluster_id: str) -> dict[str, str]:
    return {
        "platform": "kubernetes",
        "namespace": snapshot.binding.metadata.namespace or "",
        "clusterid": cluster_id,
        "instance_name": snapshot.binding.spec.instance_ref.name,
    }


def _properties(snapshot: BindingSnapshot) -> BindingPropertiesState | None:
    parameters = snapshot.parameters
    if isinstance(parameters, ParametersFault):
        return None
    return BindingPropertiesState(
        parameters=parameters.shown or None,
        parameter_checksum=parameters.checksum or None,
        user_info=snapshot.binding.spec.user_info,
    )
