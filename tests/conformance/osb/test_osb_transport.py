"""The client against a real server: headers, encoding, limits, timeouts and all ways in which a connection can end."""

import asyncio
import base64
import gzip
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BasicAuth, BearerAuth, BrokerEndpoint
from chandlery.osb.operations.binding_calls import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import OsbRequest
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK
from chandlery.reconcile.answers import Answer, CatalogMark, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import GET_CATALOG, POLL_INSTANCE, PROVISION, TEMPLATES, UPDATE

IDS = {"instance_id": "i", "service_id": "s", "plan_id": "p"}
BINDING_IDS = {**IDS, "binding_id": "b"}
CONTEXT = {"platform": "kubernetes"}
ANN = OriginatingIdentity(username="ann", groups=tuple(f"group-{n}" for n in range(50)))
POLL = PollInstanceRequest(**IDS, operation=None)
PUT = ProvisionRequest(
    **IDS, organization_guid="org", space_guid="space", context=CONTEXT, parameters={"password": "s3cret"}
)
PATCH = UpdateRequest(
    instance_id="i", service_id="s", plan_id=None, parameters=None, context=CONTEXT, previous_plan_id="p"
)
ALL: list[OsbRequest] = [
    PUT,
    PATCH,
    POLL,
    GetInstanceRequest(**IDS),
    BindRequest(**BINDING_IDS, app_guid=None, context=CONTEXT, parameters=None, accepts_incomplete=False),
    PollBindingRequest(**BINDING_IDS, operation=None),
    GetBindingRequest(**BINDING_IDS),
    UnbindRequest(**BINDING_IDS, accepts_incomplete=False),
    DeprovisionRequest(**IDS),
]


class LengthyServer:
    """A server with the usual limit of a few kilobytes for an address."""

    async def __aenter__(self) -> str:
        async def answer(_request: web.BaseRequest) -> web.Response:
            return web.json_response({"state": "succeeded"})

        self._runner = web.ServerRunner(web.Server(answer, access_log=None, max_line_size=8_190))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK, connect_timeout_seconds=2)
    yield client
    await client.close()


async def send(client: OsbClient, url: str, request: OsbRequest, **endpoint: Any) -> Answer:
    return await client.send(BrokerEndpoint(url=url, **endpoint), request, identity=None)


async def test_osb_001_013_022_every_request_carries_the_headers_of_the_protocol(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    endpoint = BrokerEndpoint(url=broker.url, authorization=BasicAuth("ann", "pä:ß"))
    await client.get_catalog(endpoint, known=None)
    for request in ALL:
        await client.send(endpoint, request, identity=ANN)
    assert {seen.template for seen in broker.seen} == set(TEMPLATES)
    assert len({seen.headers["X-Broker-API-Request-Identity"] for seen in broker.seen}) == len(broker.seen)
    for number, seen in enumerate(broker.seen):
        assert seen.headers["X-Broker-API-Version"] == "2.17"
        identity = seen.headers["X-Broker-API-Request-Identity"]
        assert re.fullmatch("[0-9a-f]{32}-[0-9a-f]{16}", identity)
        assert seen.headers["traceparent"] == f"00-{identity}-00"
        assert seen.headers["Authorization"] == "Basic " + base64.b64encode("ann:pä:ß".encode()).decode()
        assert seen.headers.get("X-Broker-API-Originating-Identity") == (ANN.header if number else None)


async def test_osb_010_011_only_requests_with_a_body_carry_a_content_type(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    for request in ALL:
        await send(client, broker.url, request)
    for seen in broker.seen:
        has_body = seen.method in ("PUT", "PATCH")
        assert seen.headers.get("Content-Type") == ("application/json" if has_body else None)
        assert bool(seen.raw_body) == has_body
        assert "Authorization" not in seen.headers
        assert "X-Broker-API-Originating-Identity" not in seen.headers


async def test_osb_002_bearer_token_is_sent_when_the_broker_wants_one(client: OsbClient) -> None:
    async with ScriptedBroker(bearer="t0ken") as broker:
        assert (await send(client, broker.url, PUT, authorization=BearerAuth("t0ken"))).verdict == Verdict.SUCCEEDED
        assert (await send(client, broker.url, PUT, authorization=BearerAuth("other"))).status == 401


async def test_credentials_in_the_url_are_used_and_never_told(client: OsbClient) -> None:
    async with ScriptedBroker(basic=("ann", "s3cret")) as broker:
        url = broker.url.replace("http://", "http://ann:s3cret@")
        assert (await send(client, url, PUT)).verdict == Verdict.SUCCEEDED
    await client.close()
    answer = await send(client, url, PUT)
    assert answer.verdict == Verdict.UNREACHABLE
    assert "s3cret" not in repr(answer) + answer.sentence


async def test_osb_006_path_prefix_is_kept_and_a_trailing_slash_dropped(client: OsbClient) -> None:
    async with ScriptedBroker(path_prefix="/pre/fix") as broker:
        await client.get_catalog(BrokerEndpoint(url=broker.url + "/"), known=None)
        assert broker.seen[0].raw_path == "/pre/fix/v2/catalog"


async def test_osb_029_030_033_odd_ids_and_operations_arrive_as_they_are(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    odd = "a/b c?d&e=é+%2F~ü"
    operation = odd + "ö" * 9_000
    request = PollInstanceRequest(instance_id=odd, service_id=odd, plan_id=odd, operation=operation)
    assert (await send(client, broker.url, request)).verdict == Verdict.SUCCEEDED
    seen = broker.seen_of(POLL_INSTANCE)[0]
    assert seen.ids == {"instance_id": odd}
    assert seen.query == {"service_id": odd, "plan_id": odd, "operation": operation}
    assert "%20" in seen.raw_path
    assert "%25%32" not in seen.raw_path


@pytest.mark.parametrize("character", ["a", " ", "%", "ö", "⚓", "🛟"])
async def test_osb_030_032_operation_of_ten_thousand_characters_travels_there_and_back(
    client: OsbClient, broker: ScriptedBroker, character: str
) -> None:
    operation = character * 10_000
    broker.script(PROVISION, Reply(202, {"operation": operation}))
    answer = await send(client, broker.url, PUT)
    assert (answer.verdict, answer.operation) == (Verdict.ACCEPTED, operation)
    poll = PollInstanceRequest(**IDS, operation=answer.operation)
    assert (await send(client, broker.url, poll)).verdict == Verdict.SUCCEEDED
    assert broker.seen_of(POLL_INSTANCE)[0].query["operation"] == operation


async def test_osb_032_broker_that_takes_no_long_address_harms_nothing(client: OsbClient) -> None:
    async with LengthyServer() as url:
        poll = PollInstanceRequest(**IDS, operation="🛟" * 10_000)
        answer = await send(client, url, poll)
        assert (answer.verdict, answer.status) == (Verdict.REJECTED, 400)
        assert (await send(client, url, POLL)).status == 200


async def test_osb_012_error_in_html_is_told_by_the_first_words_of_the_page(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    page = Reply(
        502,
        b"<html><head><style>a {}</style></head><body>Bad gateway: upstream is down</body></html>",
        headers={"Content-Type": "text/html"},
    )
    broker.script(PROVISION, page)
    answer = await send(client, broker.url, PUT)
    assert (answer.verdict, answer.error, answer.description) == (
        Verdict.BROKEN,
        None,
        'a page that begins with "Bad gateway: upstream is down"',
    )


async def test_osb_005_limit_of_a_call_is_sixty_seconds_unless_given() -> None:
    assert BrokerEndpoint(url="http://broker").timeout_seconds == 60


async def test_osb_023_echoed_request_id_is_neither_needed_nor_minded(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    broker.script(PROVISION, Reply(201, {}, headers={"X-Broker-API-Request-Identity": "another"}))
    for _ in range(2):
        assert (await send(client, broker.url, PUT)).verdict == Verdict.SUCCEEDED


@pytest.mark.parametrize("value", [2**70, -(2**65), 1.5, "\ud800", None, {"é": []}])
async def test_parameters_arrive_exactly_as_the_user_gave_them(
    client: OsbClient, broker: ScriptedBroker, value: Any
) -> None:
    request = ProvisionRequest(
        **IDS, organization_guid="o", space_guid="s", context=CONTEXT, parameters={"value": value}
    )
    await send(client, broker.url, request)
    assert broker.seen[0].body["parameters"] == {"value": value}


async def test_etag_travels_back_and_unchanged_catalog_is_recognised(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(GET_CATALOG, Reply(200, {"services": []}, headers={"ETag": 'W/"7"'}), Reply(304, None))
    endpoint = BrokerEndpoint(url=broker.url)
    first = await client.get_catalog(endpoint, known=None)
    second = await client.get_catalog(endpoint, known=CatalogMark(etag=first.etag))
    assert (first.verdict, first.body, first.etag) == (Verdict.SUCCEEDED, {"services": []}, 'W/"7"')
    assert second.verdict == Verdict.UNCHANGED
    assert broker.seen[1].headers["If-None-Match"] == 'W/"7"'
    assert "If-Modified-Since" not in broker.seen[1].headers


async def test_date_of_the_catalog_travels_back_when_there_is_no_etag(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    date = "Tue, 03 Mar 2026 08:00:00 GMT"
    broker.script(GET_CATALOG, Reply(200, {"services": []}, headers={"Last-Modified": date}), Reply(304, None))
    endpoint = BrokerEndpoint(url=broker.url)
    first = await client.get_catalog(endpoint, known=None)
    known = CatalogMark(etag=first.etag, last_modified=first.last_modified)
    second = await client.get_catalog(endpoint, known=known)
    assert broker.seen[1].headers["If-Modified-Since"] == date
    assert second.verdict == Verdict.UNCHANGED


async def test_same_body_again_is_unchanged_and_another_one_is_not(client: OsbClient, broker: ScriptedBroker) -> None:
    endpoint = BrokerEndpoint(url=broker.url)
    first = await client.get_catalog(endpoint, known=None)
    known = CatalogMark(digest=first.digest)
    assert (await client.get_catalog(endpoint, known=known)).verdict == Verdict.UNCHANGED
    broker.catalog = {"services": []}
    third = await client.get_catalog(endpoint, known=known)
    assert (third.verdict, third.body) == (Verdict.SUCCEEDED, {"services": []})
    assert "If-None-Match" not in broker.seen[1].headers


async def test_304_that_nobody_asked_for_is_a_failure(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(GET_CATALOG, Reply(304, None))
    answer = await client.get_catalog(BrokerEndpoint(url=broker.url), known=CatalogMark(digest="d"))
    assert answer.verdict == Verdict.REJECTED
    assert answer.description == "the broker answered 304, although the request was not conditional"


async def test_compressed_catalog_is_read(client: OsbClient, broker: ScriptedBroker) -> None:
    body = gzip.compress(orjson.dumps({"services": [], "padding": ["x" * 300_000] * 10}))
    broker.script(GET_CATALOG, Reply(200, body, headers={"Content-Encoding": "gzip"}))
    answer = await client.get_catalog(BrokerEndpoint(url=broker.url), known=None)
    assert answer.verdict == Verdict.SUCCEEDED
    assert broker.seen[0].headers["Accept-Encoding"] == "gzip"


async def test_compression_bomb_is_malformed(client: OsbClient, broker: ScriptedBroker) -> None:
    body = gzip.compress(b" " * (70 << 20))
    broker.script(GET_CATALOG, Reply(200, body, headers={"Content-Encoding": "gzip"}))
    answer = await client.get_catalog(BrokerEndpoint(url=broker.url), known=None)
    assert (answer.verdict, answer.status) == (Verdict.MALFORMED, 200)


async def test_osb_011_answer_over_one_mebibyte_is_malformed(client: OsbClient, broker: ScriptedBroker) -> None:
    for status, verdict in ((201, Verdict.MALFORMED), (500, Verdict.BROKEN), (409, Verdict.REJECTED)):
        broker.script(PROVISION, Reply(status, b"{" + b" " * (1 << 20) + b"}"))
        assert (await send(client, broker.url, PUT)).verdict == verdict
    broker.script(PROVISION, Reply(201, b"{" + b" " * ((1 << 20) - 2) + b"}"))
    assert (await send(client, broker.url, PUT)).verdict == Verdict.SUCCEEDED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_osb_007_redirect_is_not_followed(client: OsbClient, broker: ScriptedBroker, status: int) -> None:
    async with ScriptedBroker() as other:
        for template in (PROVISION, GET_CATALOG):
            broker.script(template, Reply(status, headers={"Location": f"{other.url}/v2/catalog"}))
        endpoint = BrokerEndpoint(url=broker.url, authorization=BasicAuth("ann", "s3cret"))
        answer = await client.send(endpoint, PUT, identity=None)
        assert (answer.verdict, answer.status) == (Verdict.REJECTED, status)
        assert (await client.get_catalog(endpoint, known=None)).verdict == Verdict.REJECTED
        assert other.seen == []


@pytest.mark.parametrize(
    "reply", [Reply(201, delay_seconds=5), Reply(201, {"a": "b" * 100}, trickle_seconds=0.05)], ids=["mute", "slow"]
)
async def test_osb_005_call_times_out_as_a_whole(client: OsbClient, broker: ScriptedBroker, reply: Reply) -> None:
    broker.script(PROVISION, reply)
    started = asyncio.get_running_loop().time()
    answer = await send(client, broker.url, PUT, timeout_seconds=0.3)
    assert asyncio.get_running_loop().time() - started < 1.5
    assert answer.verdict == Verdict.TIMED_OUT
    assert answer.description == "no complete answer within 0.3 seconds"
    assert needs_mitigation(answer)
    assert len(broker.seen) == 1


async def test_error_status_counts_even_if_its_body_never_ends(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(PROVISION, Reply(409, {"a": "b" * 100}, trickle_seconds=0.05))
    answer = await send(client, broker.url, PUT, timeout_seconds=0.3)
    assert (answer.verdict, answer.status) == (Verdict.REJECTED, 409)


async def test_cut_body_means_timeout_for_a_success_and_nothing_for_an_error(
    client: OsbClient, broker: ScriptedBroker
) -> None:
    for status, verdict in ((201, Verdict.TIMED_OUT), (500, Verdict.BROKEN), (410, Verdict.GONE)):
        broker.script(PROVISION, Reply(status, {"a": "b" * 100}, cut_after_bytes=20))
        assert (await send(client, broker.url, PUT)).verdict == verdict


async def test_cancelling_a_call_leaves_the_client_usable(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(PROVISION, Reply(201, delay_seconds=30))
    call = asyncio.create_task(send(client, broker.url, PUT))
    await broker.wait_for(PROVISION)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await send(client, broker.url, POLL)).verdict == Verdict.SUCCEEDED


async def test_slow_broker_does_not_hold_up_another(client: OsbClient, broker: ScriptedBroker) -> None:
    gate = asyncio.Event()
    broker.always(PROVISION, Reply(201, gate=gate))
    async with ScriptedBroker() as quick:
        held = [asyncio.create_task(send(client, broker.url, PUT)) for _ in range(80)]
        await broker.wait_for(PROVISION, 64)
        assert (await send(client, quick.url, PUT, timeout_seconds=2)).verdict == Verdict.SUCCEEDED
        assert len(broker.seen) == 64
        gate.set()
        assert {answer.verdict for answer in await asyncio.gather(*held)} == {Verdict.SUCCEEDED}


async def test_waiting_for_a_free_connection_is_no_timeout_at_the_broker(broker: ScriptedBroker) -> None:
    client = OsbClient(TRUSTING_LOOPBACK, connections_per_broker=1)
    gate = asyncio.Event()
    broker.always(PROVISION, Reply(201, gate=gate))
    first = asyncio.create_task(send(client, broker.url, PUT))
    await broker.wait_for(PROVISION)
    answer = await send(client, broker.url, PUT, timeout_seconds=0.2)
    assert answer.verdict == Verdict.UNREACHABLE
    gate.set()
    assert (await first).verdict == Verdict.SUCCEEDED
    await client.close()


async def test_osb_025_retry_after_and_flags_come_through(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(POLL_INSTANCE, Reply(200, {"state": "in progress"}, headers={"Retry-After": "7"}))
    broker.script(UPDATE, Reply(500, {"description": "d", "instance_usable": False}))
    assert (await send(client, broker.url, POLL)).retry_after_seconds == 7
    answer = await send(client, broker.url, PATCH)
    assert (answer.verdict, answer.body["instance_usable"]) == (Verdict.BROKEN, False)


async def test_osb_010_json_is_read_whatever_its_content_type(client: OsbClient, broker: ScriptedBroker) -> None:
    broker.script(POLL_INSTANCE, Reply(200, {"state": "succeeded"}, headers={"Content-Type": "text/plain"}))
    assert (await send(client, broker.url, POLL)).verdict == Verdict.SUCCEEDED
