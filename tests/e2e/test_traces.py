"""Four processes on PostgreSQL and RabbitMQ that send their traces to one collector: one request is one trace."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import BIND, PROVISION
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.stacks import SplitStack, split_stack
from tests.e2e.stacks.trace_receiver import TraceReceiver, trace_receiver

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
PASSWORD: Final = "c0rrect-h0rse-battery"
COLLECTORS_TOKEN: Final = "token-of-the-collector"
_BOUND: Final = Reply(201, {"credentials": {"password": PASSWORD}})
_API: Final = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/default"
_IDENTITY: Final = "X-Broker-API-Request-Identity"

GATEWAY, PROVISIONER, BINDER = "chandlery-gateway", "chandlery-provisioner", "chandlery-binder"
POST = "POST /apis/servicecatalog.k8s.io/v1beta1/namespaces/{namespace}"
PUT = "PUT /v2/service_instances/{instance_id}"
INSTANCES, BINDINGS = "provisioner.instance.reconcile", "binder.binding.reconcile"


@pytest.fixture(scope="module")
def receiver() -> Iterator[TraceReceiver]:
    with trace_receiver() as received:
        yield received


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, receiver: TraceReceiver) -> Iterator[SplitStack]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {COLLECTORS_TOKEN}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        # Nothing but what a client wants traced.
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
    with split_stack(tmp_path_factory.mktemp("traced"), has_roles=True, environment=environment) as stack:
        yield stack


@pytest.fixture
def peer(traced: SplitStack) -> Iterator[ScriptedPeer]:
    with scripted_peer() as found:
        yield found


def test_one_request_is_one_trace_through_four_processes_and_a_second_try_links_to_the_first(
    traced: SplitStack, receiver: TraceReceiver, peer: ScriptedPeer
) -> None:
    api, kubectl = traced.api, traced.kubectl()
    kubectl.create(cluster_broker("harbour", peer.url))
    api.await_ready("clusterservicebrokers", "harbour")
    assert receiver.spans == [], "what no client wants traced is not"
    peer.script(PROVISION, Reply(429, {"description": "too many at once"}))
    peer.always(BIND, _BOUND)
    for document in (instance("db", "test-service"), binding("key", "db")):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert api.call("POST", f"{_API}/{document['kind'].lower()}s", document, headers=headers).status == 201
    api.await_ready("servicebindings", "key")

    calls = receiver.until(TRACE, PUT, 3)
    of_instance = [call for call in calls if call.service == PROVISIONER]
    assert [call.attributes["http.response.status_code"] for call in of_instance] == [429, 201]
    for call in of_instance:
        above = receiver.above(call, client=PARENT)
        assert above == [
            (PROVISIONER, PUT),
            (PROVISIONER, "reconcile ServiceInstance"),
            (PROVISIONER, f"process {INSTANCES}"),
            (above[3][0], f"send {INSTANCES}"),
            (GATEWAY, f"{POST}/serviceinstances"),
        ]
    first, *_, last = receiver.until(TRACE, "reconcile ServiceInstance", 2, event="Ready is True")
    assert (first.has_failed, first.links) == (True, ())
    assert first.span_id in last.links
    (bind,) = (call for call in calls if call.service == BINDER)
    assert receiver.above(bind, client=PARENT)[-1] == (GATEWAY, f"{POST}/servicebindings")
    delivered = receiver.until(TRACE, "reconcile ServiceBinding", event="Ready is True")[-1]
    assert delivered.events == ("Secret delivered", "Ready is True")
    assert [span.parent_id for span in receiver.until(TRACE, POST, 2)] == [PARENT, PARENT]

    by_identity = {seen.headers[_IDENTITY]: seen for seen in peer.seen() if TRACE in seen.headers[_IDENTITY]}
    assert by_identity.keys() == {f"{TRACE}-{call.span_id}" for call in calls}
    for identity, seen in by_identity.items():
        assert seen.headers["traceparent"] == f"00-{identity}-01"
    assert {headers["authorization"] for headers in receiver.headers} == {f"Bearer {COLLECTORS_TOKEN}"}
    told = repr(receiver.spans) + "".join(traced.log_tails().values())
    assert PASSWORD not in told
    assert COLLECTORS_TOKEN not in told
