"""Bind, unbind and fetch on the wire."""

from chandlery.osb.binding_requests import BindRequest, GetBindingRequest, UnbindRequest
from chandlery.osb.http_call import ACCEPTS_INCOMPLETE, HttpCall, target
from chandlery.osb.instance_calls import present
from chandlery.osb.json_text import write_json


def bind_call(request: BindRequest) -> HttpCall:
    """PUT, OSB v2.17, "Binding".

    A rotation names its predecessor and still sends service and plan: the section does not ask for them, but brokers
    refuse without. `app_guid` appears twice, for brokers from before `bind_resource`.
    """
    body = {
        "service_id": request.service_id,
        "plan_id": request.plan_id,
        "app_guid": request.app_guid,
        "bind_resource": {"app_guid": request.app_guid} if request.app_guid else None,
        "context": request.context,
        "parameters": request.parameters,
        "predecessor_binding_id": request.predecessor_binding_id,
    }
    return HttpCall(
        verb=request.verb,
        method="PUT",
        target=target(*binding_path(request), query=_asynchronously(request)),
        body=write_json(present(body)),
        asked_async=request.accepts_incomplete,
    )


def unbind_call(request: UnbindRequest) -> HttpCall:
    """DELETE without a body, OSB v2.17, "Unbinding"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id), *_asynchronously(request))
    return HttpCall(
        verb=request.verb,
        method="DELETE",
        target=target(*binding_path(request), query=query),
        asked_async=request.accepts_incomplete,
    )


def get_binding_call(request: GetBindingRequest) -> HttpCall:
    """GET, OSB v2.17, "Fetching a Service Binding"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id))
    return HttpCall(verb=request.verb, method="GET", target=target(*binding_path(request), query=query))


def binding_path(request: BindRequest | UnbindRequest | GetBindingRequest) -> tuple[str, ...]:
    """Path segments of a binding."""
    return ("service_instances", request.instance_id, "service_bindings", request.binding_id)


def _asynchronously(request: BindRequest | UnbindRequest) -> tuple[tuple[str, str], ...]:
    return (ACCEPTS_INCOMPLETE,) if request.accepts_incomplete else ()
