"""From any request to its HTTP call: the one place that knows all operation groups."""

from typing import assert_never

from chandlery.osb.binding_calls import bind_call, get_binding_call, unbind_call
from chandlery.osb.binding_requests import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.http_call import HttpCall
from chandlery.osb.instance_calls import deprovision_call, provision_call, update_call
from chandlery.osb.instance_requests import DeprovisionRequest, PollInstanceRequest, ProvisionRequest, UpdateRequest
from chandlery.osb.operation_polls import poll_binding_call, poll_instance_call
from chandlery.osb.requests import OsbRequest


def call_of(request: OsbRequest) -> HttpCall:
    """What to send for a request."""
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
        case BindRequest():
            return bind_call(request)
        case UnbindRequest():
            return unbind_call(request)
        case GetBindingRequest():
            return get_binding_call(request)
        case _:
            assert_never(request)
