"""From a decision to its OSB request, and to the note that is written down before the request is sent. Pure."""

from datetime import datetime

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.bindings import BindingPropertiesState
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.operations import requests
from chandlery.osb.operations.binding_calls import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.operation.context import context_of
from chandlery.reconcile.operation.open_request import Repeat
from chandlery.reconcile.parameters.parameters import Parameters, hidden_values
from chandlery.reconcile.secrecy.known_secrets import KnownSecrets
from chandlery_binder.facts.binding_actions import (
    Bind,
    Call,
    FetchCredentials,
    Inject,
    PollBackgroundOperation,
    PollBinding,
    Recover,
    Restore,
    Retire,
    Rotate,
    Unbind,
)
from chandlery_binder.facts.binding_notes import BindingPurpose, OpenBindingRequest
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Placement


def secrets_of(snapshot: BindingSnapshot, request: OsbRequest, purpose: BindingPurpose) -> KnownSecrets:
    """The parameters from Secrets, those of now and those that this request repeats; and the credentials it gave."""
    status, current, sealed = snapshot.binding.status, snapshot.parameters, snapshot.sealed
    states = (status.external_properties, status.in_progress_properties)
    shown = [state.parameters for state in states if state is not None]
    values: list[object] = [*snapshot.hidden, sealed.undelivered, sealed.delivered]
    if isinstance(current, Parameters):
        shown.append(current.shown)
    values += hidden_values(getattr(request, "parameters", None) or {}, *shown)
    return KnownSecrets(values, are_all=not _is_about_forgotten_ones(snapshot, request, purpose))


def _is_about_forgotten_ones(snapshot: BindingSnapshot, request: OsbRequest, purpose: BindingPurpose) -> bool:
    """Whether it is about credentials that are not in the Secret any more, but may be good until this has succeeded."""
    if purpose in (BindingPurpose.RETIRE, BindingPurpose.POLL_RETIREMENT):
        return True
    current = snapshot.binding.status.external_id or snapshot.binding.spec.external_id
    return purpose in (BindingPurpose.UNBIND, BindingPurpose.POLL) and getattr(request, "binding_id", "") != current


_Sent = Bind | Unbind | PollBinding | FetchCredentials | Recover | Rotate | Retire | PollBackgroundOperation | Restore


def note_of(snapshot: BindingSnapshot, call: Call, now: datetime, *, new_id: str) -> OpenBindingRequest:
    """What is written down before the call is made; the request is added when it is known."""
    if isinstance(call, Repeat):
        return call.request
    if isinstance(call, Inject):
        return OpenBindingRequest(purpose=BindingPurpose.INJECT, started_at=now.timestamp())
    is_own_bind = isinstance(call, Bind) or (isinstance(call, Rotate) and call.predecessor is None)
    note = OpenBindingRequest(
        purpose=_purpose(call),
        started_at=now.timestamp(),
        placement=_placement(snapshot, call, new_id),
        properties=_properties(snapshot) if is_own_bind else None,
    )
    if isinstance(call, Rotate):
        return note.model_copy(update={"rotation_request": snapshot.requested_actions.rotate})
    if isinstance(call, PollBackgroundOperation):
        background = call.background_operation
        return note.model_copy(
            update={"rotation_request": background.rotation_request, "properties": background.properties}
        )
    return note


def request_of(
    snapshot: BindingSnapshot, call: Call, note: OpenBindingRequest, *, home: ObjectMeta | None, cluster_id: str
) -> requests.OsbRequest | None:
    """What to send; None where nothing is sent: for an injection, a restoration, and what has been answered already."""
    ids = _ids(snapshot, note.placement)
    match call:
        case Inject() | Restore():
            return None
        case Repeat():
            return requests.decode(call.request.encoded) if call.request.granted is None else None
        case Bind() | Rotate():
            return _bind(snapshot, call, ids, home=home, cluster_id=cluster_id)
        case Unbind() | Retire():
            # Always: a broker that revokes slowly may, and needs no credentials to be fetched for it.
            return UnbindRequest(**ids, accepts_incomplete=True)
        case PollBinding():
            return PollBindingRequest(**ids, operation=call.operation)
        case PollBackgroundOperation():
            return (
                GetBindingRequest(**ids)
                if call.background_operation.is_fetch_due
                else _poll(call.background_operation, ids)
            )
        case FetchCredentials() | Recover():
            return GetBindingRequest(**ids)


def _bind(
    snapshot: BindingSnapshot, call: Bind | Rotate, ids: dict[str, str], *, home: ObjectMeta | None, cluster_id: str
) -> BindRequest:
    resource = snapshot.binding.spec.bind_resource
    predecessor = call.predecessor if isinstance(call, Rotate) else None
    return BindRequest(
        **ids,
        app_guid=(resource.app_guid if resource else None) or (home.uid if home else None),
        route=(resource.route if resource else None) or None,
        context=_context(snapshot, home, cluster_id),
        parameters=call.parameters,
        accepts_incomplete=call.accepts_incomplete,
        predecessor_binding_id=_binding_id(snapshot, predecessor) if predecessor else None,
    )


def _poll(background: BackgroundOperation, ids: dict[str, str]) -> PollBindingRequest:
    return PollBindingRequest(**ids, operation=background.operation)


def _purpose(call: _Sent) -> BindingPurpose:
    match call:
        case Unbind():
            return BindingPurpose.MITIGATE if call.is_mitigation else BindingPurpose.UNBIND
        case PollBackgroundOperation():
            if call.background_operation.kind == BackgroundOperationKind.RETIRE:
                return BindingPurpose.POLL_RETIREMENT
            return (
                BindingPurpose.FETCH_ROTATION
                if call.background_operation.is_fetch_due
                else BindingPurpose.POLL_ROTATION
            )
    return _PURPOSES[type(call)]


_PURPOSES: dict[type[object], BindingPurpose] = {
    Bind: BindingPurpose.BIND,
    PollBinding: BindingPurpose.POLL,
    FetchCredentials: BindingPurpose.FETCH,
    Recover: BindingPurpose.RECOVER,
    Restore: BindingPurpose.RESTORE,
    Rotate: BindingPurpose.ROTATE,
    Retire: BindingPurpose.RETIRE,
}


def _placement(snapshot: BindingSnapshot, call: _Sent, new_id: str) -> Placement:
    match call:
        case Rotate():
            return call.placement.model_copy(update={"binding_id": new_id})
        case Restore():
            return snapshot.memory.placement
        case PollBackgroundOperation():
            return call.background_operation.placement
    return call.placement


def _binding_id(snapshot: BindingSnapshot, placement: Placement) -> str:
    return placement.binding_id or snapshot.binding.spec.external_id


def _ids(snapshot: BindingSnapshot, placement: Placement) -> dict[str, str]:
    # By now the instance may be on another plan than when the binding was made.
    place = snapshot.on_current_plan(placement)
    return {
        "instance_id": place.instance_id,
        "binding_id": _binding_id(snapshot, place),
        "service_id": place.service_id,
        "plan_id": place.plan_id,
    }


def _context(snapshot: BindingSnapshot, home: ObjectMeta | None, cluster_id: str) -> JsonObject:
    named = ObjectMeta(name=snapshot.binding.spec.instance_ref.name, namespace=snapshot.binding.metadata.namespace)
    instance = snapshot.instance.metadata if snapshot.instance else named
    return context_of(instance, home, cluster_id=cluster_id, prefixes=snapshot.policy.context_annotations)


def _properties(snapshot: BindingSnapshot) -> BindingPropertiesState | None:
    parameters = snapshot.parameters
    if isinstance(parameters, ParametersFault):
        return None
    return BindingPropertiesState(
        parameters=parameters.shown or None,
        parameter_checksum=parameters.checksum or None,
        user_info=snapshot.binding.spec.user_info,
    )
