"""Every request that can be in flight, as one tagged union: what the workers store, send and repeat."""

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.faults import UnreadableRequest
from chandlery.osb.operations.binding_calls import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.reconcile.answers import Verb

OsbRequest = (
    ProvisionRequest
    | UpdateRequest
    | DeprovisionRequest
    | PollInstanceRequest
    | GetInstanceRequest
    | BindRequest
    | UnbindRequest
    | PollBindingRequest
    | GetBindingRequest
)

TAG = "verb"

_BY_VERB: dict[str, type[OsbRequest]] = {
    Verb.PROVISION: ProvisionRequest,
    Verb.UPDATE: UpdateRequest,
    Verb.DEPROVISION: DeprovisionRequest,
    Verb.POLL_INSTANCE: PollInstanceRequest,
    Verb.GET_INSTANCE: GetInstanceRequest,
    Verb.BIND: BindRequest,
    Verb.UNBIND: UnbindRequest,
    Verb.POLL_BINDING: PollBindingRequest,
    Verb.GET_BINDING: GetBindingRequest,
}


def encode(request: OsbRequest) -> JsonObject:
    """The request with its verb, as JSON. Holds parameters: seal it before it is stored."""
    return {TAG: str(request.verb), **request.to_wire()}


def decode(document: JsonObject) -> OsbRequest:
    """The request that `encode` was called on.

    Raises:
        UnreadableRequest: the verb or a field is not known to this version.
    """
    fields = dict(document)
    verb = fields.pop(TAG, None)
    kind = _BY_VERB.get(verb) if isinstance(verb, str) else None
    if kind is None:
        raise UnreadableRequest(f"there is no request {verb!r}")
    return kind.from_wire(fields)
