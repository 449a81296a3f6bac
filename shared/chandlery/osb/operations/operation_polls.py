"""Asking how an asynchronous operation is doing. `operation` is echoed verbatim and left out if there was none."""

from chandlery.osb.operations.binding_calls import PollBindingRequest
from chandlery.osb.operations.instance_calls import PollInstanceRequest
from chandlery.osb.transport.http_call import CallSketch


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
