"""Every request that can be in flight, as one tagged union: its stored form, and its HTTP call."""

import hashlib
from collections.abc import Mapping
from typing import Final, assert_never

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.faults import NotInVersion, UnreadableRequest
from chandlery.osb.operations.binding_calls import (
    BindRequest,
    GetBindingRequest,
    PollBindingRequest,
    UnbindRequest,
    bind_call,
    get_binding_call,
    unbind_call,
)
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
    deprovision_call,
    get_instance_call,
    provision_call,
    update_call,
)
from chandlery.osb.transport.http_call import (
    ACCEPTS_INCOMPLETE,
    BYTES_FOR_ONE_VALUE,
    CATALOG_LIMIT,
    CallSketch,
    HttpCall,
    target,
)
from chandlery.reconcile.answers import CatalogMark, Verb
from chandlery.reconcile.operation.version_matrix import (
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    NEWEST,
    known_body,
    knows_header,
    knows_query,
    knows_request,
    timeout_is_certain,
)

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


_IDS: Final = ("instance_id", "binding_id", "service_id", "plan_id")
NO_IDS: Final[Mapping[str, str]] = {}


def ids_of(request: OsbRequest) -> Mapping[str, str]:
    """The ids that the request names, under the keys of log lines. None of them is a secret."""
    return {name: value for name in _IDS if (value := getattr(request, name, None))}


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


def poll_instance_call(request: PollInstanceRequest) -> CallSketch:
    """GET, OSB v2.17, "Polling Last Operation for Service Instances"."""
    return _poll(request, "service_instances", request.instance_id)


def poll_binding_call(request: PollBindingRequest) -> CallSketch:
    """GET, OSB v2.17, "Polling Last Operation for Service Bindings"."""
    return _poll(request, "service_instances", request.instance_id, "service_bindings", request.binding_id)


def _poll(request: PollInstanceRequest | PollBindingRequest, *segments: str) -> CallSketch:
    # An empty key tells nothing, and some brokers look it up.
    operation = request.operation or None
    query = (("service_id", request.service_id), ("plan_id", request.plan_id), ("operation", operation))
    return CallSketch(verb=request.verb, method="GET", segments=(*segments, "last_operation"), query=query)


def catalog_digest(body: bytes) -> str:
    """Hex SHA-256 of a catalog as it came."""
    return hashlib.sha256(body).hexdigest()


def catalog_call(known: CatalogMark | None, api_version: str = NEWEST, *, limit: int = CATALOG_LIMIT) -> HttpCall:
    """OSB v2.17, "Catalog Management". The only call that allows gzip. `limit` is in bytes, after decompression.

    With a validator, the broker may answer 304; the date counts only where there is no ETag (RFC 9110, 13.1.3).
    """
    validators = _validators(known or CatalogMark(), api_version)
    return HttpCall(
        verb=Verb.GET_CATALOG,
        method="GET",
        target=target("catalog"),
        headers=(("Accept-Encoding", "gzip"), *validators),
        answer_limit=limit,
        answer_values=limit // BYTES_FOR_ONE_VALUE,
        conditional=bool(validators),
        known_digest=known.digest if known else None,
    )


def _validators(known: CatalogMark, api_version: str) -> tuple[tuple[str, str], ...]:
    if known.etag and knows_header(IF_NONE_MATCH, api_version):
        return ((IF_NONE_MATCH, known.etag),)
    if known.last_modified and knows_header(IF_MODIFIED_SINCE, api_version):
        return ((IF_MODIFIED_SINCE, known.last_modified),)
    return ()


def call_of(request: OsbRequest, api_version: str = NEWEST) -> HttpCall:
    """What to send for a request to a broker that speaks this version.

    Raises:
        NotInVersion: the version has no such request.
    """
    sketch = _sketch(request)
    if not knows_request(sketch.verb, api_version):
        raise NotInVersion(
            f"version {api_version} of the OSB API, which the broker is called with, has no {sketch.verb}"
        )
    query = tuple(pair for pair in sketch.query if knows_query(sketch.verb, pair[0], api_version))
    return HttpCall(
        verb=sketch.verb,
        method=sketch.method,
        target=target(*sketch.segments, query=query),
        body=None if sketch.body is None else write_json(known_body(sketch.verb, sketch.body, api_version)),
        asked_async=ACCEPTS_INCOMPLETE in query,
        certain_timeout=timeout_is_certain(api_version),
    )


def _sketch(request: OsbRequest) -> CallSketch:
    match request:
        case PollInstanceRequest():
            return poll_instance_call(request)
        case PollBindingRequest():
            return poll_binding_call(request)
        case ProvisionRequest():
            return provision_call(request)
        case UpdateRequest():
            return update_call(request)
        case DeprovisionRequest():
            return deprovision_call(request)
        case GetInstanceRequest():
            return get_instance_call(request)
        case BindRequest():
            return bind_call(request)
        case UnbindRequest():
            return unbind_call(request)
        case GetBindingRequest():
            return get_binding_call(request)
        case _:
            assert_never(request)
