"""What brokers of older versions are sent: each field, header, query parameter and request, by version."""

import json
from typing import Any

import pytest

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BasicAuth, BrokerEndpoint
from chandlery.osb.faults import NotInVersion
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
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.osb.transport.http_call import HttpReply
from chandlery.reconcile.answers import CatalogMark, Verb, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery.reconcile.operation.version_matrix import knows_field, knows_header, knows_query, knows_request
from tests.conformance.scripted.scripted_broker import ScriptedBroker

VERSIONS = [f"2.{minor}" for minor in range(11, 18)]
CONTEXT = {
    "platform": "kubernetes",
    "namespace": "blue",
    "clusterid": "c",
    "instance_name": "db",
    "instance_annotations": {"a": "b"},
    "namespace_annotations": {"a": "b"},
}
IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
BINDING_IDS = {**IDS, "binding_id": "b"}
PROVISION = ProvisionRequest(
    **IDS, organization_guid="o", space_guid="s", context=CONTEXT, parameters={"a": 1}, maintenance_version="1.0.0"
)
UPDATE = UpdateRequest(
    **IDS,
    parameters={"a": 1},
    context=CONTEXT,
    previous_plan_id="p0",
    previous_maintenance_version="1.0.0",
    maintenance_version="1.1.0",
)
DEPROVISION = DeprovisionRequest(**IDS)
POLL_INSTANCE = PollInstanceRequest(**IDS, operation="op")
GET_INSTANCE = GetInstanceRequest(**IDS)
BIND = BindRequest(
    **BINDING_IDS,
    app_guid="app",
    context=CONTEXT,
    parameters={"a": 1},
    accepts_incomplete=True,
    route="blog.example",
    predecessor_binding_id="b0",
)
UNBIND = UnbindRequest(**BINDING_IDS, accepts_incomplete=True)
POLL_BINDING = PollBindingRequest(**BINDING_IDS, operation="op")
GET_BINDING = GetBindingRequest(**BINDING_IDS)
ALL: list[OsbRequest] = [
    *(PROVISION, UPDATE, DEPROVISION, POLL_INSTANCE, GET_INSTANCE),
    *(BIND, UNBIND, POLL_BINDING, GET_BINDING),
]

ALWAYS = 0
MATRIX: list[tuple[OsbRequest, str, int]] = [
    *((PROVISION, path, ALWAYS) for path in ("service_id", "plan_id", "organization_guid", "space_guid", "parameters")),
    (PROVISION, "?accepts_incomplete", ALWAYS),
    (PROVISION, "maintenance_info", 15),
    *((UPDATE, path, ALWAYS) for path in ("service_id", "plan_id", "parameters", "previous_values.plan_id")),
    (UPDATE, "?accepts_incomplete", ALWAYS),
    (UPDATE, "maintenance_info", 15),
    (UPDATE, "previous_values.maintenance_info", 15),
    *(
        (request, path, since)
        for request in (PROVISION, UPDATE)
        for path, since in (
            ("context.platform", 12),
            ("context.namespace", 12),
            ("context.clusterid", 14),
            ("context.instance_name", 16),
            ("context.instance_annotations", 16),
            ("context.namespace_annotations", 16),
        )
    ),
    *((DEPROVISION, f"?{name}", ALWAYS) for name in ("service_id", "plan_id", "accepts_incomplete")),
    *((POLL_INSTANCE, f"?{name}", ALWAYS) for name in ("service_id", "plan_id", "operation")),
    *((BIND, path, ALWAYS) for path in ("service_id", "plan_id", "parameters", "app_guid")),
    *((BIND, path, ALWAYS) for path in ("bind_resource.app_guid", "bind_resource.route")),
    (BIND, "?accepts_incomplete", 14),
    (BIND, "context.platform", 13),
    (BIND, "context.namespace", 13),
    (BIND, "context.clusterid", 14),
    (BIND, "context.instance_name", 16),
    (BIND, "predecessor_binding_id", 17),
    *((UNBIND, f"?{name}", ALWAYS) for name in ("service_id", "plan_id")),
    (UNBIND, "?accepts_incomplete", 14),
    *((GET_INSTANCE, f"?{name}", 16) for name in ("service_id", "plan_id")),
    *((GET_BINDING, f"?{name}", 16) for name in ("service_id", "plan_id")),
]
REQUESTS_SINCE = {Verb.POLL_BINDING: 14, Verb.GET_BINDING: 14, Verb.GET_INSTANCE: 14}
HEADERS_SINCE = {
    "X-Broker-API-Version": ALWAYS,
    "Authorization": ALWAYS,
    "X-Broker-API-Originating-Identity": 13,
    "X-Broker-API-Request-Identity": 15,
}


def minor(version: str) -> int:
    return int(version.partition(".")[2])


def carries(request: OsbRequest, path: str, version: str) -> bool:
    call = call_of(request, version)
    if path.startswith("?"):
        return f"{path[1:]}=" in call.target.partition("?")[2]
    value: Any = json.loads(call.body or b"null")
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("request_", "path", "since"), [pytest.param(*row, id=f"OSB-024 {row[0].verb} {row[1]}") for row in MATRIX]
)
def test_osb_024_a_field_is_sent_from_the_version_on_that_knows_it(
    request_: OsbRequest, path: str, since: int, version: str
) -> None:
    if not knows_request(request_.verb, version):
        return
    assert carries(request_, path, version) is (minor(version) >= since)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("request_", ALL, ids=lambda request: f"OSB-024 {request.verb}")
def test_osb_024_a_request_is_made_from_the_version_on_that_has_it(request_: OsbRequest, version: str) -> None:
    if minor(version) >= REQUESTS_SINCE.get(request_.verb, ALWAYS):
        assert call_of(request_, version).verb == request_.verb
    else:
        with pytest.raises(NotInVersion, match=version):
            call_of(request_, version)


@pytest.mark.parametrize("version", VERSIONS)
async def test_osb_013_and_024_a_header_is_sent_from_the_version_on_that_knows_it(version: str) -> None:
    client = OsbClient(TRUSTING_LOOPBACK)
    async with ScriptedBroker() as broker:
        endpoint = BrokerEndpoint(url=broker.url, api_version=version, authorization=BasicAuth("ann", "pw"))
        for request in (PROVISION, POLL_INSTANCE, BIND):
            await client.send(endpoint, request, identity=OriginatingIdentity(username="ann"))
        mark = CatalogMark(etag='"7"', last_modified="Tue, 03 Mar 2026 08:00:00 GMT")
        await client.get_catalog(endpoint, known=mark)
    await client.close()
    *calls, catalog = broker.seen
    for seen in calls:
        assert seen.headers["X-Broker-API-Version"] == version
        assert {name: name in seen.headers for name in HEADERS_SINCE} == {
            name: minor(version) >= since for name, since in HEADERS_SINCE.items()
        }
    assert ("If-None-Match" in catalog.headers) is (minor(version) >= 16)
    assert "If-Modified-Since" not in catalog.headers


@pytest.mark.parametrize("version", VERSIONS)
def test_osb_024_and_051_202_is_legal_only_if_it_was_offered_in_the_version(version: str) -> None:
    for request in (BIND, UNBIND):
        call = call_of(request, version)
        assert call.asked_async is ("accepts_incomplete=true" in call.target) is (minor(version) >= 14)
        expected = Verdict.ACCEPTED if call.asked_async else Verdict.UNEXPECTED
        assert read_answer(call, HttpReply(status=202, body=b"{}")).verdict == expected
    assert all(call_of(request, version).asked_async for request in (PROVISION, UPDATE, DEPROVISION))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("request_", [r for r in ALL if r.verb not in REQUESTS_SINCE], ids=lambda r: str(r.verb))
def test_osb_024_and_160_408_leaves_an_orphan_only_to_creations_before_2_14(request_: OsbRequest, version: str) -> None:
    answer = read_answer(call_of(request_, version), HttpReply(status=408, body=b"{}"))
    assert answer.status == 408
    assert needs_mitigation(answer) is (minor(version) < 14 and request_.verb in (Verb.PROVISION, Verb.BIND))


@pytest.mark.parametrize("request_", ALL, ids=lambda request: str(request.verb))
def test_stored_request_is_complete_whatever_the_version(request_: OsbRequest) -> None:
    assert call_of(decode(encode(request_))) == call_of(request_, "2.17")


def test_what_the_version_does_not_know_leaves_nothing_empty_behind() -> None:
    update = UpdateRequest(
        instance_id="i",
        service_id="s",
        plan_id=None,
        parameters=None,
        context=CONTEXT,
        previous_plan_id=None,
        previous_maintenance_version="1.0.0",
        maintenance_version="1.1.0",
    )
    assert json.loads(call_of(update, "2.11").body or b"") == {"service_id": "s"}
    assert CONTEXT["clusterid"] == "c"


async def test_osb_024_a_request_that_the_version_has_not_is_answered_without_being_sent() -> None:
    client = OsbClient(TRUSTING_LOOPBACK)
    async with ScriptedBroker() as broker:
        endpoint = BrokerEndpoint(url=broker.url, api_version="2.13")
        answer = await client.send(endpoint, GET_INSTANCE, identity=None)
    await client.close()
    assert broker.seen == []
    assert (answer.verdict, answer.status) == (Verdict.REJECTED, None)
    assert answer.description == "version 2.13 of the OSB API, which the broker is called with, has no GetInstance"
    assert not needs_mitigation(answer)


def test_catalog_validators_are_sent_from_2_16_on() -> None:
    mark = CatalogMark(last_modified="Tue, 03 Mar 2026 08:00:00 GMT", digest="d")
    assert not catalog_call(mark, "2.15").conditional
    assert catalog_call(mark, "2.15").known_digest == "d"
    assert ("If-Modified-Since", mark.last_modified) in catalog_call(mark, "2.16").headers


@pytest.mark.parametrize("version", [None, "2.17", "2.x", "3.1", ""])
def test_a_version_that_cannot_be_read_is_taken_for_the_newest(version: str | None) -> None:
    assert knows_field(Verb.BIND, "predecessor_binding_id", version)
    assert knows_request(Verb.GET_INSTANCE, version)
    assert knows_query(Verb.BIND, "accepts_incomplete", version)
    assert knows_header("If-None-Match", version)
