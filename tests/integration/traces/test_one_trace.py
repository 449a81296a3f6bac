"""From a request to Ready in one trace: what its spans are called, how they hang together, and what they link to."""

import secrets
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from tests.conformance.platform import Platform
from tests.conformance.platform_backends import PlatformBackend
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.integration.gateway.api_client import Document
from tests.integration.traces.conftest import CLIENT, Spans, ids
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEND, PROCESS, ROUND = "send provisioner.instance", "process provisioner.instance", "reconcile ServiceInstance"
PUT = "PUT /v2/service_instances/{instance_id}"
AUDIT_EVENTS = "/apis/audit.chandlery.io/v1/auditevents"
POST = "POST /apis/servicecatalog.k8s.io/v1beta1/namespaces/{namespace}/serviceinstances"


def new_trace() -> tuple[int, dict[str, str]]:
    """A trace of a client, and the header that says so."""
    trace_id = secrets.randbits(128)
    return trace_id, {"traceparent": f"00-{trace_id:032x}-{CLIENT:016x}-01"}


async def ask_for(platform: Platform, kind: str, name: str, spec: Document, headers: dict[str, str]) -> None:
    """Create an instance or a binding within the client's trace."""
    api = replace(platform.api, acting=headers)
    document = {"kind": kind, "apiVersion": "servicecatalog.k8s.io/v1beta1", "metadata": {"name": name}, "spec": spec}
    await api.made(f"/apis/servicecatalog.k8s.io/v1beta1/namespaces/{platform.namespace}/{kind.lower()}s", document)


def offering(platform: Platform) -> Document:
    return {
        "clusterServiceClassExternalName": platform.offering_name,
        "clusterServicePlanExternalName": "default",
    }


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_provision_is_one_trace_from_the_request_of_the_client_to_ready(
    platform: Platform, spans: Spans
) -> None:
    trace_id, headers = new_trace()
    await ask_for(platform, "ServiceInstance", "db", offering(platform), headers)
    (call,) = await spans.until(trace_id, PUT)
    last = (await spans.until(trace_id, ROUND, event="Ready is True"))[-1]
    assert await spans.above(call) == [PUT, ROUND, f"{PROCESS}.reconcile", f"{SEND}.reconcile", POST]
    request = spans.of(trace_id, POST)[0]
    assert request.parent is not None
    assert (request.parent.span_id, request.kind) == (CLIENT, SpanKind.SERVER)
    assert attributes(request)["http.response.status_code"] == 201
    seen = platform.broker.seen_of(osb.PROVISION)[0]
    identity = f"{trace_id:032x}-{ids(call).span_id:016x}"
    assert seen.headers["X-Broker-API-Request-Identity"] == identity
    assert seen.headers["traceparent"] == f"00-{identity}-01"
    assert {span.name: span.kind for span in spans.of(trace_id)} == {
        POST: SpanKind.SERVER,
        f"{SEND}.reconcile": SpanKind.PRODUCER,
        f"{PROCESS}.reconcile": SpanKind.CONSUMER,
        ROUND: SpanKind.INTERNAL,
        PUT: SpanKind.CLIENT,
    }
    assert [event.name for event in last.events] == ["Ready is True"]
    told = attributes(last)
    assert (told["chandlery.kind"], told["chandlery.name"], told["chandlery.broker"]) == (
        "ServiceInstance",
        "db",
        platform.broker_name,
    )
    assert (told["chandlery.action"], told["chandlery.outcome"], told["chandlery.attempt"]) == ("provision", "done", 1)


async def test_a_second_try_is_of_the_same_trace_and_links_to_the_first(platform: Platform, spans: Spans) -> None:
    trace_id, headers = new_trace()
    platform.broker.script(osb.PROVISION, Reply(429, {"description": "too many"}))
    await ask_for(platform, "ServiceInstance", "db", offering(platform), headers)
    calls = await spans.until(trace_id, PUT, 2)
    first, second = (await spans.until(trace_id, ROUND, 2))[:2]
    assert [attributes(call).get("http.response.status_code") for call in calls[:2]] == [429, 201]
    assert [attributes(each)["chandlery.outcome"] for each in (first, second)] == ["failed", "done"]
    assert not first.links
    assert [link.context.span_id for link in second.links] == [ids(first).span_id]
    assert (first.status.is_ok, second.status.is_ok) == (False, True)
    assert await spans.above(first) == [ROUND, f"{PROCESS}.reconcile", f"{SEND}.reconcile", POST]
    # The second does not hang below the first: however many tries there are, the tree stays flat. Nor is there a
    # message for it: the process that has put it off begins it itself.
    assert await spans.above(second) == [ROUND, POST]
    identities = {seen.headers["X-Broker-API-Request-Identity"] for seen in platform.broker.seen_of(osb.PROVISION)}
    assert len(identities) == 2


async def test_a_binding_that_waits_for_its_instance_goes_on_in_its_own_trace_and_links_to_who_woke_it(
    platform: Platform, spans: Spans
) -> None:
    (of_instance, with_instance), (of_binding, with_binding) = new_trace(), new_trace()
    platform.broker.always(osb.BIND, Reply(201, {"credentials": {"password": "c0rrect-h0rse"}}))
    platform.broker.script(osb.PROVISION, Reply(202, {"operation": "one"}))
    platform.broker.script(osb.POLL_INSTANCE, Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"}))
    await ask_for(platform, "ServiceInstance", "db", offering(platform), with_instance)
    await ask_for(platform, "ServiceBinding", "key", {"instanceRef": {"name": "db"}}, with_binding)
    (call,) = await spans.until(of_binding, "PUT /v2/service_instances/{instance_id}/service_bindings")
    rounds = await spans.until(of_binding, "reconcile ServiceBinding", 2, event="Ready is True")
    assert (await spans.above(call))[-1].startswith("POST ")
    assert [event.name for event in rounds[-1].events] == ["Secret delivered", "Ready is True"]
    polls = await spans.until(of_instance, "GET /v2/service_instances/{instance_id}/last_operation", 2)
    assert {(await spans.above(poll))[-1] for poll in polls} == {POST}
    told = repr([(each.name, each.attributes, each.events) for each in spans.all()])
    assert "c0rrect-h0rse" not in told


async def test_what_a_schedule_starts_begins_a_trace_of_its_own_and_links_to_the_last_round(
    platform: Platform, spans: Spans, backend: PlatformBackend
) -> None:
    trace_id, headers = new_trace()
    await ask_for(platform, "ServiceInstance", "db", offering(platform), headers)
    first = (await spans.until(trace_id, ROUND))[0]
    await platform.comes_to_rest()
    uid = attributes(first)["chandlery.uid"]
    resources = backend.processes[0].resources
    assert resources is not None
    await resources.database.run(lambda unit: unit.wakes.enqueue_idle([uid]))

    def next_one() -> list[ReadableSpan]:
        rounds = [span for span in spans.all() if span.name == ROUND and attributes(span)["chandlery.uid"] == uid]
        return [span for span in rounds if ids(span).trace_id != trace_id]

    (later,) = await eventually(next_one, bool, what="a round of its own trace")
    assert [link.context.span_id for link in later.links] == [ids(spans.of(trace_id, ROUND)[-1]).span_id]
    assert await spans.above(later) == [ROUND, f"{PROCESS}.reconcile", f"{SEND}.reconcile"]


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" + "-x" * 2_000,
    ],
    ids=["empty", "word", "no trace", "no span", "capitals", "version ff", "more than version 00 has", "long"],
)
async def test_a_traceparent_that_is_none_begins_a_new_trace(
    traceparent: str, platform: Platform, spans: Spans
) -> None:
    known = len(spans.all())
    answer = await replace(platform.api, acting={"traceparent": traceparent}).get("/version")
    assert answer.status == 200
    (request,) = [span for span in spans.all()[known:] if span.name == "GET /version"]
    assert request.parent is None
    assert ids(request).trace_id != 0x4BF92F3577B34DA6A3CE929D0E0E4736


async def test_the_audit_log_tells_the_trace_of_a_request(platform: Platform, spans: Spans) -> None:
    trace_id, headers = new_trace()
    await ask_for(platform, "ServiceInstance", "db", offering(platform), headers)
    selector = f"verb=create,objectRef.resource=serviceinstances,objectRef.namespace={platform.namespace}"

    async def traces() -> set[str]:
        events = (await platform.api.get(AUDIT_EVENTS, fieldSelector=selector)).document["items"]
        return {event["annotations"].get("audit.chandlery.io/trace-id") for event in events}

    await eventually(traces, lambda found: f"{trace_id:032x}" in found, what="the event of the creation")
