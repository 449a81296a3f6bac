"""A provision whose first try fails, as an operator would follow it: trace, log, metric, event and history agree.

What the first try may have left at the broker is removed before the second one: three calls in one trace.
"""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.collector import collecting
from tests.e2e.stacks.manifests import cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK, free_port
from tests.e2e.stacks.stacks import SplitStack, split_stack
from tests.e2e.stacks.trace_receiver import ReceivedSpan, TraceReceiver
from tests.support.waiting import wait_for

pytestmark = pytest.mark.servers

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
_CLIENTS_SPAN: Final = "00f067aa0ba902b7"
_CALLS: Final = "chandlery_broker_call_duration_seconds"
_OPENMETRICS: Final = "application/openmetrics-text;version=1.0.0"
_WORDS: Final = "the harbour is closed"


@dataclass
class Story:
    """Four processes after the provision, and where its uid and its ids are to be looked for."""

    stack: SplitStack
    receiver: TraceReceiver
    peer: ScriptedPeer
    metrics_port: int
    uid: str

    def listed(self, path: str) -> list[dict[str, Any]]:
        status, body = self.stack.api.read(path)
        assert status == http.client.OK, body
        items: list[dict[str, Any]] = body["items"]
        return items

    def log_lines(self, program: str) -> list[dict[str, Any]]:
        text = self.stack.programs[program].log_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def call_spans(self) -> list[ReceivedSpan]:
        """Those of both calls, once the provisioner has sent them."""
        return self.receiver.until(TRACE, "PUT /v2/service_instances", 2)

    def whole_trace(self) -> dict[str, ReceivedSpan]:
        """By id, once every process has sent what it has: nothing but the client's span is missing."""

        def missing() -> set[str]:
            spans = self.receiver.of(TRACE)
            known = {span.span_id for span in spans}
            return {each for span in spans for each in (span.parent_id, *span.links)} - known

        self.call_spans()
        wait_for(missing, lambda ids: ids == {_CLIENTS_SPAN}, what="all spans of the trace")
        return {span.span_id: span for span in self.receiver.of(TRACE)}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    port = free_port()
    with collecting(tmp_path_factory.mktemp("collector")) as receiver, scripted_peer() as peer:
        environment = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        with split_stack(tmp_path_factory.mktemp("five-places"), environment=environment) as stack:
            stack.programs["provisioner"].stop()
            stack.programs["provisioner"].set(CHANDLERY_METRICS_PORT=str(port))
            stack.start("provisioner")
            yield Story(stack, receiver, peer, port, _provision(stack, peer))


def _provision(stack: SplitStack, peer: ScriptedPeer) -> str:
    api = stack.api
    broker = cluster_broker("harbour", peer.url, retryPolicy={"initialDelay": "500ms"})
    assert api.create(broker).status == http.client.CREATED
    api.await_ready("clusterservicebrokers", "harbour")
    peer.script(PROVISION, Reply(500, {"description": _WORDS}))
    headers = {"traceparent": f"00-{TRACE}-{_CLIENTS_SPAN}-01"}
    path = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/default/serviceinstances"
    status, _ = api.send("POST", path, instance("followed", "test-service"), headers=headers)
    assert status == http.client.CREATED
    return str(api.await_ready("serviceinstances", "followed")["metadata"]["uid"])


def test_trace_leads_from_the_request_over_the_bus_to_both_calls(story: Story) -> None:
    first, second = sorted(story.call_spans(), key=lambda span: not span.has_failed)
    by_id = story.whole_trace()

    assert first.has_failed and not second.has_failed
    assert {"chandlery-gateway", "chandlery-provisioner"} <= {span.service for span in by_id.values()}
    for call in (first, second):
        assert _first_ancestor(call, by_id).parent_id == _CLIENTS_SPAN
    # Each round says which one it follows: the second try the mitigation, and that the first try.
    (mitigation,) = by_id[second.parent_id].links
    assert by_id[mitigation].links == (first.parent_id,)


def test_broker_was_told_the_same_ids(story: Story) -> None:
    calls = {f"{span.trace_id}-{span.span_id}" for span in story.call_spans()}

    seen = story.peer.seen_of(PROVISION)
    assert {request.headers["X-Broker-API-Request-Identity"] for request in seen} == calls
    assert {request.headers["traceparent"] for request in seen} == {f"00-{call}-01" for call in calls}


def test_log_has_both_calls_with_the_same_ids(story: Story) -> None:
    lines = [
        line
        for line in story.log_lines("provisioner")
        if line.get("event.action") == "call_broker" and line.get("orchestrator.resource.id") == story.uid
    ]
    provisions = [line for line in lines if line["chandlery.operation"] == "ProvisionInstance"]

    assert [(line["trace.id"], line["http.response.status_code"], line["event.outcome"]) for line in lines] == [
        (TRACE, 500, "failure"),
        (TRACE, 200, "success"),
        (TRACE, 201, "success"),
    ]
    assert {line["http.request.id"] for line in provisions} == {
        f"{span.trace_id}-{span.span_id}" for span in story.call_spans()
    }
    gateway = [line for line in story.log_lines("gateway") if line.get("trace.id") == TRACE]
    assert any(line.get("http.request.method") == "POST" for line in gateway)


def test_metrics_count_both_calls_and_lead_to_the_trace(story: Story) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, story.metrics_port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"Accept": _OPENMETRICS})
        page = connection.getresponse().read().decode()
    finally:
        connection.close()

    samples = [
        sample
        for family in openmetrics(page)  # type: ignore[no-untyped-call]
        if family.name == _CALLS
        for sample in family.samples
        if sample.labels["broker"] == "harbour" and sample.labels["operation"] == "ProvisionInstance"
    ]
    counts = {sample.labels["status"]: sample.value for sample in samples if sample.name == f"{_CALLS}_count"}
    assert counts == {"5xx": 1, "2xx": 1}
    assert {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar} == {TRACE}


def test_events_tell_the_story_with_the_same_trace(story: Story) -> None:
    events = [
        event
        for event in story.listed("/api/v1/namespaces/default/events")
        if event["involvedObject"]["uid"] == story.uid
    ]

    assert {event["type"] for event in events} == {"Normal", "Warning"}
    assert any(_WORDS in event["message"] for event in events)
    assert {event["metadata"]["annotations"]["chandlery.io/trace-id"] for event in events} == {TRACE}


def test_history_has_one_operation_of_two_attempts_with_the_same_trace(story: Story) -> None:
    path = "/apis/history.chandlery.io/v1/namespaces/default/serviceinstanceoperations"
    mitigation, operation = [one for one in story.listed(path) if one["instanceRef"]["uid"] == story.uid]

    assert (mitigation["operation"], mitigation["outcome"]) == ("OrphanMitigation", "Succeeded")
    assert operation["operation"] == "Provision"
    assert (operation["attempts"], operation["outcome"], operation["brokerStatus"]) == (2, "Succeeded", 201)
    assert operation["lastFailure"]["brokerStatus"] == 500
    assert _WORDS in operation["lastFailure"]["message"]
    assert operation["traceID"] == mitigation["traceID"] == TRACE


def _first_ancestor(span: ReceivedSpan, by_id: dict[str, ReceivedSpan]) -> ReceivedSpan:
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
    return span
