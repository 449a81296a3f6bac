"""The scripted broker itself: what it records, what it answers by default, and every way in which it can misbehave."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_plan, simple_service
from tests.conformance.scripted.scripted_exchange import peak_in_flight
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    FETCH_BINDING,
    FETCH_INSTANCE,
    GET_CATALOG,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    TEMPLATES,
    UNBIND,
    UPDATE,
    match_template,
)

BODY = {"service_id": "test-service-id", "plan_id": "test-service-default-id"}
INSTANCE = "/v2/service_instances/i-1"
BINDING = f"{INSTANCE}/service_bindings/b-1"
QUERY = "?service_id=test-service-id&plan_id=test-service-default-id"


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        # A session repeats an idempotent request by itself when the connection drops, which would use up two replies.
        session._retry_connection = False
        yield session


async def ask(
    client: aiohttp.ClientSession, broker: ScriptedBroker, request: str, *, body: Any = None, **options: Any
) -> tuple[int, Any]:
    """Send `<method> <target>`, with the target as it is; returns the status and the decoded body."""
    method, _, target = request.partition(" ")
    async with client.request(method, URL(broker.url + target, encoded=True), json=body, **options) as response:
        return response.status, await response.json(content_type=None)


async def test_broker_serves_its_catalog_when_nothing_is_scripted(client: aiohttp.ClientSession) -> None:
    catalog = simple_catalog(simple_service("db", plans=["small", simple_plan("large", free=False)]))
    async with ScriptedBroker(catalog) as broker:
        assert await ask(client, broker, "GET /v2/catalog") == (200, catalog)
        broker.catalog = {"services": []}
        assert await ask(client, broker, "GET /v2/catalog") == (200, {"services": []})


async def test_defaults_walk_through_a_whole_life(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    assert await ask(client, broker, f"PUT {INSTANCE}", body=BODY) == (201, {})
    assert await ask(client, broker, f"PUT {INSTANCE}", body=BODY) == (200, {})
    assert await ask(client, broker, f"PUT {INSTANCE}", body={**BODY, "parameters": {"a": 1}}) == (409, {})
    assert await ask(client, broker, f"PATCH {INSTANCE}", body={**BODY, "parameters": {"a": 1}}) == (200, {})
    assert await ask(client, broker, f"GET {INSTANCE}") == (200, {**BODY, "parameters": {"a": 1}})
    assert await ask(client, broker, f"GET {INSTANCE}/last_operation") == (200, {"state": "succeeded"})
    status, bound = await ask(client, broker, f"PUT {BINDING}", body=BODY)
    assert (status, bound["credentials"]["uri"]) == (201, "http://scripted.test/b-1")
    assert await ask(client, broker, f"PUT {BINDING}", body=BODY) == (200, bound)
    assert await ask(client, broker, f"GET {BINDING}") == (200, bound)
    assert await ask(client, broker, f"GET {BINDING}/last_operation") == (200, {"state": "succeeded"})
    assert await ask(client, broker, f"DELETE {BINDING}{QUERY}") == (200, {})
    assert await ask(client, broker, f"GET {BINDING}") == (404, {})
    assert await ask(client, broker, f"DELETE {BINDING}{QUERY}") == (410, {})
    assert await ask(client, broker, f"DELETE {INSTANCE}{QUERY}") == (200, {})
    assert await ask(client, broker, f"DELETE {INSTANCE}{QUERY}") == (410, {})
    assert {seen.template for seen in broker.seen} == set(TEMPLATES) - {GET_CATALOG}


async def test_defaults_refuse_what_no_broker_could_accept(
    broker: ScriptedBroker, client: aiohttp.ClientSession
) -> None:
    assert (await ask(client, broker, f"PUT {INSTANCE}", body={"plan_id": "p"}))[0] == 400
    assert (await ask(client, broker, f"PATCH {INSTANCE}", body=BODY))[0] == 404
    assert (await ask(client, broker, "GET /v2/service_instances"))[0] == 404
    assert broker.seen[-1].template == "unknown GET /v2/service_instances"


async def test_scripted_replies_come_in_order_and_then_the_standing_one(
    broker: ScriptedBroker, client: aiohttp.ClientSession
) -> None:
    broker.script(POLL_INSTANCE, Reply(500), Reply(200, {"state": "in progress"}, headers={"Retry-After": "7"}))
    broker.always(POLL_INSTANCE, lambda seen: Reply(200, {"state": "failed", "description": seen.query["operation"]}))
    poll = f"GET {INSTANCE}/last_operation?operation=op%201"
    assert broker.unused(POLL_INSTANCE) == 2
    assert (await ask(client, broker, poll))[0] == 500
    async with client.get(broker.url + INSTANCE + "/last_operation") as response:
        assert (response.headers["Retry-After"], await response.json()) == ("7", {"state": "in progress"})
    assert await ask(client, broker, poll) == (200, {"state": "failed", "description": "op 1"})
    broker.always(POLL_INSTANCE, None)
    assert await ask(client, broker, poll) == (200, {"state": "succeeded"})
    assert broker.unused(POLL_INSTANCE) == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(Reply(202, {"operation": "x"}), 200, id="accepted"),
        pytest.param(Reply(500), 200, id="server-error-may-have-created"),
        pytest.param(Reply(400), 410, id="refused"),
    ],
)
async def test_defaults_learn_from_a_scripted_provision(
    broker: ScriptedBroker, client: aiohttp.ClientSession, reply: Reply, expected: int
) -> None:
    broker.script(PROVISION, reply)
    assert (await ask(client, broker, f"PUT {INSTANCE}", body=BODY))[0] == reply.status
    assert (await ask(client, broker, f"DELETE {INSTANCE}{QUERY}"))[0] == expected


async def test_record_keeps_the_request_as_it_was_sent(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    before = asyncio.get_running_loop().time()
    target = "/v2/service_instances/a%2Fb%20c?accepts_incomplete=true&operation=a%2Bb%26c%3Dd%252F"
    await ask(client, broker, f"PUT {target}", body=BODY, headers={"X-Broker-API-Version": "2.17"})
    (seen,) = broker.seen_of(PROVISION)
    assert (seen.method, seen.raw_path, seen.ids) == ("PUT", target, {"instance_id": "a/b c"})
    assert seen.query == {"accepts_incomplete": "true", "operation": "a+b&c=d%2F"}
    assert (seen.headers["x-broker-api-version"], seen.body) == ("2.17", BODY)
    assert seen.answered_at is not None and before <= seen.seen_at <= seen.answered_at
    assert "test-service-id" not in repr(seen)


async def test_broker_accepts_the_longest_legal_operation(
    broker: ScriptedBroker, client: aiohttp.ClientSession
) -> None:
    operation = "%F0%9F%A6%8A" * 10_000
    assert (await ask(client, broker, f"GET {INSTANCE}/last_operation?operation={operation}"))[0] == 200
    assert broker.seen[0].query["operation"] == "\N{FOX FACE}" * 10_000


@pytest.mark.parametrize("body", [b"{", b"<html>", b"", None], ids=["cut-json", "html", "empty", "none"])
async def test_raw_bodies_and_headers_go_out_as_they_are(
    broker: ScriptedBroker, client: aiohttp.ClientSession, body: bytes | None
) -> None:
    broker.script(GET_CATALOG, Reply(200, body, headers={"Content-Type": "text/plain", "ETag": '"v1"'}))
    async with client.get(f"{broker.url}/v2/catalog") as response:
        assert await response.read() == (body or b"")
        assert (response.content_type, response.headers["ETag"]) == ("text/plain", '"v1"')


async def test_close_drops_the_connection_after_the_request_was_recorded(
    broker: ScriptedBroker, client: aiohttp.ClientSession
) -> None:
    broker.script(PROVISION, Reply(close=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(client, broker, f"PUT {INSTANCE}", body=BODY)
    assert [request.body for request in broker.seen_of(PROVISION)] == [BODY]
    assert (await ask(client, broker, f"PUT {INSTANCE}", body=BODY))[0] == 200


async def test_cut_body_ends_before_its_announced_length(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    broker.script(GET_CATALOG, Reply(200, b'{"services":[]}', cut_after_bytes=4))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(client, broker, "GET /v2/catalog")
    broker.script(GET_CATALOG, Reply(200, b'{"services":[]}', cut_after_bytes=0))
    with pytest.raises(aiohttp.ClientError):
        await ask(client, broker, "GET /v2/catalog")


async def test_trickled_body_arrives_byte_by_byte(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    broker.script(GET_CATALOG, Reply(200, b"[1]", trickle_seconds=0.02))
    async with client.get(f"{broker.url}/v2/catalog") as response:
        assert [chunk async for chunk in response.content.iter_any()] == [b"[", b"1", b"]"]


async def test_delay_holds_the_reply_for_its_time(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    broker.script(GET_CATALOG, Reply(200, {}, delay_seconds=0.05))
    await ask(client, broker, "GET /v2/catalog")
    (seen,) = broker.seen
    # The event loop counts in whole milliseconds.
    assert seen.answered_at is not None and seen.answered_at - seen.seen_at >= 0.048


async def test_gate_holds_replies_until_it_is_set(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    gate = asyncio.Event()
    broker.script(PROVISION, *[Reply(201, gate=gate)] * 2)
    async with asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(ask(client, broker, f"PUT {INSTANCE}", body=BODY)) for _ in range(2)]
        seen = await broker.wait_for(PROVISION, 2)
        assert [request.answered_at for request in seen] == [None, None]
        assert peak_in_flight(seen) == 2
        gate.set()
    assert [task.result() for task in held] == [(201, {}), (201, {})]


async def test_peak_in_flight_is_one_when_requests_follow_each_other(
    broker: ScriptedBroker, client: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        await ask(client, broker, f"PUT {INSTANCE}", body=BODY)
    assert peak_in_flight(broker.seen) == 1
    assert peak_in_flight([]) == 0


async def test_broker_stops_at_once_while_a_reply_is_held(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(2), ScriptedBroker() as broker:
        broker.script(PROVISION, Reply(gate=asyncio.Event()))
        held = asyncio.create_task(ask(client, broker, f"PUT {INSTANCE}", body=BODY))
        await broker.wait_for(PROVISION, 1)
    with pytest.raises(aiohttp.ClientError):
        await held


async def test_wait_for_says_what_it_saw_when_time_is_up(broker: ScriptedBroker, client: aiohttp.ClientSession) -> None:
    await ask(client, broker, "GET /v2/catalog")
    with pytest.raises(TimeoutError, match=r"1 x 'PUT .*saw \['GET /v2/catalog'\]"):
        await broker.wait_for(PROVISION, 1, timeout_seconds=0.01)


@pytest.mark.parametrize("request_line", [f"GET {BINDING}", "GET /v2/catalog"])
async def test_basic_and_bearer_are_asked_for_without_using_up_the_script(
    client: aiohttp.ClientSession, request_line: str
) -> None:
    async with ScriptedBroker(basic=("u", "p:ä")) as broker:
        broker.script(FETCH_BINDING, Reply(200, {"scripted": True}))
        broker.script(GET_CATALOG, Reply(200, {"scripted": True}))
        assert (await ask(client, broker, request_line))[0] == 401
        sent = {"Authorization": aiohttp.encode_basic_auth("u", "p:ä")}
        assert await ask(client, broker, request_line, headers=sent) == (200, {"scripted": True})
    async with ScriptedBroker(bearer="token") as broker:
        assert (await ask(client, broker, "GET /v2/catalog", headers={"Authorization": "Bearer wrong"}))[0] == 401
        assert (await ask(client, broker, "GET /v2/catalog", headers={"Authorization": "Bearer token"}))[0] == 200


async def test_path_prefix_is_part_of_the_address(client: aiohttp.ClientSession) -> None:
    async with ScriptedBroker(path_prefix="/pre/fix/") as broker:
        assert broker.url.endswith("/pre/fix")
        assert (await ask(client, broker, "GET /v2/catalog"))[0] == 200
        assert broker.seen[0].raw_path == "/pre/fix/v2/catalog"
        async with client.get(broker.url.removesuffix("/pre/fix") + "/v2/catalog") as response:
            assert response.status == 404


async def test_misspelt_template_is_refused(broker: ScriptedBroker) -> None:
    with pytest.raises(ValueError, match="no such template"):
        broker.script("PUT /v2/service_instance/{instance_id}", Reply())
    with pytest.raises(ValueError, match="exclude each other"):
        ScriptedBroker(basic=("u", "p"), bearer="t")


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", INSTANCE, FETCH_INSTANCE),
        ("PATCH", INSTANCE, UPDATE),
        ("DELETE", INSTANCE + QUERY, DEPROVISION),
        ("PUT", BINDING, BIND),
        ("DELETE", BINDING + QUERY, UNBIND),
        ("GET", f"{BINDING}/last_operation?operation=x", POLL_BINDING),
        ("POST", INSTANCE, f"unknown POST {INSTANCE}"),
        ("PUT", "/v2/service_instances/", "unknown PUT /v2/service_instances/"),
    ],
)
def test_template_is_found_by_method_and_segments(method: str, path: str, template: str) -> None:
    assert match_template(method, path)[0] == template


def test_simple_catalog_keeps_absent_flags_absent() -> None:
    (service,) = simple_catalog()["services"]
    assert (service["id"], service["plans"][0]["id"]) == ("test-service-id", "test-service-default-id")
    assert "plan_updateable" not in service and "free" not in service["plans"][0]
    schemas = parameter_schemas(create={"type": "object"})
    plan = simple_plan(
        "p", plan_id="x", bindable=False, maintenance_version="1.0.0", schemas=schemas, metadata={"a": 1}
    )
    assert plan == {
        "id": "x",
        "name": "p",
        "description": "plan p",
        "bindable": False,
        "maintenance_info": {"version": "1.0.0"},
        "schemas": {"service_instance": {"create": {"parameters": {"type": "object"}}}},
        "metadata": {"a": 1},
    }
