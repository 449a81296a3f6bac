"""Bind, unbind and fetch on the wire."""

from chandlery.osb.operations.binding_requests import BindRequest, GetBindingRequest, UnbindRequest
from chandlery.osb.operations.instance_calls import present
from chandlery.osb.transport.http_call import ACCEPTS_INCOMPLETE, CallSketch, Query


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
