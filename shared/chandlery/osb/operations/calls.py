"""From any request to its HTTP call: the one place that knows all operation groups.

A stored request is complete. What the broker's version does not know of it is taken out here, at the last moment.
"""

from typing import assert_never

from chandlery.model.json.json_text import write_json
from chandlery.osb.faults import NotInVersion
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
from chandlery.osb.operations.operation_polls import poll_binding_call, poll_instance_call
from chandlery.osb.operations.requests import OsbRequest
from chandlery.osb.transport.http_call import ACCEPTS_INCOMPLETE, CallSketch, HttpCall, target
from chandlery.reconcile.operation.version_matrix import (
    NEWEST,
    known_body,
    knows_query,
    knows_request,
    timeout_is_certain,
)


def call_of(request: OsbRequest, api_version: str = NEWEST) -> HttpCall:
    """What to send for a request to a broker that speaks this version.

    Raises:
        NotInVersion: the version has no such request.
    """
    sketch = _sketch(request)
    if not knows_request(sketch.verb, api_version):
        raise NotInVersion(f"version {api_version} of the API, which the broker is called by, has no {sketch.verb}")
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
