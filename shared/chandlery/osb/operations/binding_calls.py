"""Bind, unbind and fetch on the wire."""

from dataclasses import dataclass, field
from typing import ClassVar

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.operations.instance_calls import present
from chandlery.osb.operations.stored_request import StoredRequest
from chandlery.osb.transport.http_call import ACCEPTS_INCOMPLETE, CallSketch, Query
from chandlery.reconcile.answers import Verb


@dataclass(frozen=True, kw_only=True)
class BindRequest(StoredRequest):
    """OSB v2.17, "Binding" and "Binding Rotation"."""

    verb: ClassVar[Verb] = Verb.BIND

    instance_id: str
    binding_id: str
    service_id: str
    plan_id: str
    """The plan that the instance has now."""
    app_guid: str | None
    context: JsonObject = field(repr=False)
    parameters: JsonObject | None = field(repr=False)
    """None if the user gave none: then the key is absent."""
    accepts_incomplete: bool
    """Only for brokers that let bindings be fetched: an asynchronous bind carries no credentials."""
    route: str | None = None
    """Host of an application whose traffic a route service is to see."""
    predecessor_binding_id: str | None = None
    """The binding that this one is to replace; the broker carries its parameters over."""


@dataclass(frozen=True, kw_only=True)
class UnbindRequest(StoredRequest):
    """OSB v2.17, "Unbinding"."""

    verb: ClassVar[Verb] = Verb.UNBIND

    instance_id: str
    binding_id: str
    service_id: str
    plan_id: str
    accepts_incomplete: bool


@dataclass(frozen=True, kw_only=True)
class PollBindingRequest(StoredRequest):
    """OSB v2.17, "Polling Last Operation for Service Bindings"."""

    verb: ClassVar[Verb] = Verb.POLL_BINDING

    instance_id: str
    binding_id: str
    service_id: str
    plan_id: str
    operation: str | None
    """The broker's key from the 202, verbatim."""


@dataclass(frozen=True, kw_only=True)
class GetBindingRequest(StoredRequest):
    """OSB v2.17, "Fetching a Service Binding". Only where the catalog says `bindings_retrievable`."""

    verb: ClassVar[Verb] = Verb.GET_BINDING

    instance_id: str
    binding_id: str
    service_id: str
    plan_id: str


def bind_call(request: BindRequest) -> CallSketch:
    """PUT, OSB v2.17, "Binding".

    A rotation names its predecessor and still sends service and plan: the section does not ask for them, but brokers
    refuse without. `app_guid` appears twice, for brokers from before `bind_resource`.
    """
    resource = present({"app_guid": request.app_guid, "route": request.route})
    body = {
        "service_id": request.service_id,
        "plan_id": request.plan_id,
        "app_guid": request.app_guid,
        "bind_resource": resource or None,
        "context": request.context,
        "parameters": request.parameters,
        "predecessor_binding_id": request.predecessor_binding_id,
    }
    return CallSketch(
        verb=request.verb,
        method="PUT",
        segments=binding_path(request),
        query=_asynchronously(request),
        body=present(body),
    )


def unbind_call(request: UnbindRequest) -> CallSketch:
    """DELETE without a body, OSB v2.17, "Unbinding"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id), *_asynchronously(request))
    return CallSketch(verb=request.verb, method="DELETE", segments=binding_path(request), query=query)


def get_binding_call(request: GetBindingRequest) -> CallSketch:
    """GET, OSB v2.17, "Fetching a Service Binding"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id))
    return CallSketch(verb=request.verb, method="GET", segments=binding_path(request), query=query)


def binding_path(request: BindRequest | UnbindRequest | GetBindingRequest) -> tuple[str, ...]:
    """Path segments of a binding."""
    return ("service_instances", request.instance_id, "service_bindings", request.binding_id)


def _asynchronously(request: BindRequest | UnbindRequest) -> Query:
    return (ACCEPTS_INCOMPLETE,) if request.accepts_incomplete else ()
