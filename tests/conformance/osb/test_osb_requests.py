"""Requests as stored values and as HTTP calls: pure, so every key and every encoded character is looked at."""

import base64
import json
from typing import Any

import orjson
import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery.osb.faults import UnreadableRequest
from chandlery.osb.operations.binding_calls import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import OsbRequest, call_of, catalog_call, decode, encode
from chandlery.reconcile.answers import CatalogMark

CONTEXT = {"platform": "kubernetes", "namespace": "blue"}
PARAMETERS = {"big": 2**70, "text": "é\u0000", "nothing": None, "password": "s3cret"}
ODD = "a/b c?d&e=é+%~._-"
ENCODED = "a%2Fb%20c%3Fd%26e%3D%C3%A9%2B%25~._-"
IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
BINDING_IDS = {**IDS, "binding_id": "b"}


def provision(**changes: Any) -> ProvisionRequest:
    fields = {**IDS, "organization_guid": "org", "space_guid": "space", "context": CONTEXT, "parameters": None}
    return ProvisionRequest(**{**fields, **changes})


def update(**changes: Any) -> UpdateRequest:
    fields = {**IDS, "plan_id": None, "parameters": None, "context": CONTEXT, "previous_plan_id": "p0"}
    return UpdateRequest(**{**fields, **changes})


def bind(**changes: Any) -> BindRequest:
    fields = {**BINDING_IDS, "app_guid": None, "context": CONTEXT, "parameters": None, "accepts_incomplete": False}
    return BindRequest(**{**fields, **changes})


REQUESTS: list[OsbRequest] = [
    provision(parameters=PARAMETERS, maintenance_version="1.2.3"),
    update(parameters={}, plan_id="p1", previous_maintenance_version="1.0.0", maintenance_version="1.1.0"),
    DeprovisionRequest(**IDS),
    PollInstanceRequest(**IDS, operation="op"),
    GetInstanceRequest(**IDS),
    bind(parameters=PARAMETERS, app_guid="app", accepts_incomplete=True, predecessor_binding_id="b0", route="r.x"),
    UnbindRequest(**BINDING_IDS, accepts_incomplete=True),
    PollBindingRequest(**BINDING_IDS, operation=None),
    GetBindingRequest(**BINDING_IDS),
]


def sent(request: OsbRequest) -> Any:
    body = call_of(request).body
    return None if body is None else json.loads(body)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: str(request.verb))
def test_request_survives_storage_as_json(request_: OsbRequest) -> None:
    stored = json.loads(json.dumps(encode(request_)))
    assert decode(stored) == request_
    assert call_of(decode(stored)) == call_of(request_)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: str(request.verb))
def test_parameters_and_context_are_not_in_the_repr(request_: OsbRequest) -> None:
    shown = repr(request_) + repr(call_of(request_))
    assert "s3cret" not in shown
    assert "blue" not in shown
    assert request_.instance_id in shown


@pytest.mark.parametrize(
    "damage", [{"verb": "Dance"}, {"verb": None}, {"verb": ["x"]}, {"novelty": 1}, {"service_id": ...}]
)
def test_stored_request_is_refused_when_it_is_not_wholly_understood(damage: dict[str, Any]) -> None:
    stored = {**encode(provision(parameters=PARAMETERS)), **damage}
    with pytest.raises(UnreadableRequest) as caught:
        decode({key: value for key, value in stored.items() if value is not ...})
    assert "s3cret" not in str(caught.value)


def test_osb_069_070_071_072_provision_sends_exactly_the_keys_that_have_a_value() -> None:
    plain = {"service_id": "s", "plan_id": "p", "organization_guid": "org", "space_guid": "space", "context": CONTEXT}
    assert sent(provision()) == plain
    full = provision(parameters=PARAMETERS, maintenance_version="1.2.3")
    assert sent(full) == {**plain, "parameters": PARAMETERS, "maintenance_info": {"version": "1.2.3"}}
    call = call_of(full)
    assert (call.method, call.target) == ("PUT", "/v2/service_instances/i?accepts_incomplete=true")
    assert call.asked_async


def test_osb_089_091_093_update_leaves_out_what_has_not_changed() -> None:
    plain = {"service_id": "s", "context": CONTEXT, "previous_values": {"plan_id": "p0"}}
    assert sent(update()) == plain
    assert sent(update(parameters={})) == {**plain, "parameters": {}}
    assert sent(update(previous_plan_id=None)) == {"service_id": "s", "context": CONTEXT}
    assert sent(update(plan_id="p1", previous_maintenance_version="1.0.0", maintenance_version="1.1.0")) == {
        "service_id": "s",
        "plan_id": "p1",
        "context": CONTEXT,
        "previous_values": {"plan_id": "p0", "maintenance_info": {"version": "1.0.0"}},
        "maintenance_info": {"version": "1.1.0"},
    }
    assert call_of(update()).target == "/v2/service_instances/i?accepts_incomplete=true"


def test_osb_106_bind_names_the_application_twice_for_old_brokers() -> None:
    plain = {"service_id": "s", "plan_id": "p", "context": CONTEXT}
    assert sent(bind()) == plain
    assert sent(bind(app_guid="app", predecessor_binding_id="b0")) == {
        **plain,
        "app_guid": "app",
        "bind_resource": {"app_guid": "app"},
        "predecessor_binding_id": "b0",
    }


def test_osb_106_125_bind_names_the_route_beside_the_application() -> None:
    plain = {"service_id": "s", "plan_id": "p", "context": CONTEXT}
    assert sent(bind(route="blog.example")) == {**plain, "bind_resource": {"route": "blog.example"}}
    resource = {"app_guid": "app", "route": "blog.example"}
    assert sent(bind(route="blog.example", app_guid="app")) == {**plain, "app_guid": "app", "bind_resource": resource}


def test_request_that_an_earlier_release_stored_can_still_be_read() -> None:
    stored = encode(bind())
    del stored["route"], stored["predecessor_binding_id"]
    assert decode(stored) == bind()


@pytest.mark.parametrize(
    ("request_", "method", "target"),
    [
        (
            DeprovisionRequest(**IDS),
            "DELETE",
            "/v2/service_instances/i?service_id=s&plan_id=p&accepts_incomplete=true",
        ),
        (
            PollInstanceRequest(**IDS, operation="svc 42"),
            "GET",
            "/v2/service_instances/i/last_operation?service_id=s&plan_id=p&operation=svc%2042",
        ),
        (
            PollInstanceRequest(**IDS, operation=None),
            "GET",
            "/v2/service_instances/i/last_operation?service_id=s&plan_id=p",
        ),
        (
            PollInstanceRequest(**IDS, operation=""),
            "GET",
            "/v2/service_instances/i/last_operation?service_id=s&plan_id=p",
        ),
        (GetInstanceRequest(**IDS), "GET", "/v2/service_instances/i?service_id=s&plan_id=p"),
        (bind(), "PUT", "/v2/service_instances/i/service_bindings/b"),
        (
            bind(accepts_incomplete=True),
            "PUT",
            "/v2/service_instances/i/service_bindings/b?accepts_incomplete=true",
        ),
        (
            UnbindRequest(**BINDING_IDS, accepts_incomplete=False),
            "DELETE",
            "/v2/service_instances/i/service_bindings/b?service_id=s&plan_id=p",
        ),
        (
            UnbindRequest(**BINDING_IDS, accepts_incomplete=True),
            "DELETE",
            "/v2/service_instances/i/service_bindings/b?service_id=s&plan_id=p&accepts_incomplete=true",
        ),
        (
            PollBindingRequest(**BINDING_IDS, operation="a+b&c=d%2F"),
            "GET",
            (
                "/v2/service_instances/i/service_bindings/b/last_operation"
                "?service_id=s&plan_id=p&operation=a%2Bb%26c%3Dd%252F"
            ),
        ),
        (
            GetBindingRequest(**BINDING_IDS),
            "GET",
            "/v2/service_instances/i/service_bindings/b?service_id=s&plan_id=p",
        ),
    ],
)
def test_call_has_method_and_target_of_the_section(request_: OsbRequest, method: str, target: str) -> None:
    call = call_of(request_)
    assert (call.method, call.target) == (method, target)
    assert (call.body is None) == (method in ("GET", "DELETE"))


def test_osb_029_every_id_is_percent_encoded_once() -> None:
    request = PollBindingRequest(instance_id=ODD, binding_id=ODD, service_id=ODD, plan_id=ODD, operation=ODD)
    assert call_of(request).target == (
        f"/v2/service_instances/{ENCODED}/service_bindings/{ENCODED}/last_operation"
        f"?service_id={ENCODED}&plan_id={ENCODED}&operation={ENCODED}"
    )


def test_id_of_dots_does_not_climb_up_the_path() -> None:
    assert call_of(provision(instance_id="..")).target.startswith("/v2/service_instances/%2E%2E?")


def test_catalog_is_asked_for_conditionally_when_there_is_a_validator() -> None:
    plain, conditional = catalog_call(None), catalog_call(CatalogMark(etag='W/"7"', last_modified="Mon"))
    assert (plain.target, plain.conditional) == ("/v2/catalog", False)
    assert ("If-None-Match", 'W/"7"') in conditional.headers
    assert conditional.conditional


def test_osb_018_identity_is_one_line_of_standard_base64_around_a_json_object() -> None:
    user = UserInfo(username="ann", uid="7", groups=tuple(f"group-{n}" for n in range(40)), extra={"scope": ("a", "b")})
    platform, _, value = OriginatingIdentity.of(user).header.partition(" ")
    assert platform == "kubernetes"
    assert orjson.loads(base64.b64decode(value, validate=True)) == {
        "username": "ann",
        "uid": "7",
        "groups": [f"group-{n}" for n in range(40)],
        "extra": {"scope": ["a", "b"]},
    }


def test_osb_020_identity_without_groups_has_empty_lists_and_no_nulls() -> None:
    _, _, value = OriginatingIdentity.of(UserInfo(username="ann")).header.partition(" ")
    assert orjson.loads(base64.b64decode(value)) == {"username": "ann", "uid": "", "groups": [], "extra": {}}
