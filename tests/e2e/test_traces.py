"""Four processes on PostgreSQL and RabbitMQ that send their traces to one collector: one request is one trace."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_service
from tests.conformance.scripted.scripted_templates import BIND, PROVISION
from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.collector import IS_REAL, collecting
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.servers import one_value
from tests.e2e.stacks.stacks import SplitStack, split_stack
from tests.e2e.stacks.trace_receiver import TraceReceiver
from tests.support.waiting import wait_for

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
PASSWORD: Final = "c0rrect-h0rse-battery"
COLLECTORS_TOKEN: Final = "token-of-the-collector"
_BOUND: Final = Reply(201, {"credentials": {"password": PASSWORD}})
_API: Final = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/default"
_SECRETS: Final = "/api/v1/namespaces/default/secrets"
_IDENTITY: Final = "X-Broker-API-Request-Identity"

GATEWAY, PROVISIONER, BINDER = "chandlery-gateway", "chandlery-provisioner", "chandlery-binder"
POST = "POST /apis/servicecatalog.k8s.io/v1beta1/namespaces/{namespace}"
PUT = "PUT /v2/service_instances/{instance_id}"
INSTANCES, BINDINGS = "provisioner.instance.reconcile", "binder.binding.reconcile"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceReceiver]:
    with collecting(tmp_path_factory.mktemp("collector")) as received:
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
        # On a busy machine the sweep would be there before the message, and the round have no message above it.
        "CHANDLERY_SWEEP_SECONDS": "10",
    }
    with split_stack(tmp_path_factory.mktemp("traced"), has_roles=True, environment=environment) as stack:
        yield stack


@pytest.fixture
def quay(traced: SplitStack) -> Iterator[ScriptedPeer]:
    """One more broker, whose offering nobody else has."""
    with scripted_peer(simple_catalog(simple_service("berth"))) as found:
        yield found


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
    commanded, put_off = (receiver.above(call, client=PARENT) for call in of_instance)
    a_round = [(PROVISIONER, PUT), (PROVISIONER, "reconcile ServiceInstance")]
    request = (GATEWAY, f"{POST}/serviceinstances")
    message = [(PROVISIONER, f"process {INSTANCES}"), (commanded[3][0], f"send {INSTANCES}")]
    assert commanded == [*a_round, *message, request]
    # The process that has put the second try off begins it itself, with no message.
    assert put_off == [*a_round, request]
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
    if IS_REAL:
        assert all(headers["user-agent"].startswith("Rotel") for headers in receiver.headers)
    else:
        assert {headers["authorization"] for headers in receiver.headers} == {f"Bearer {COLLECTORS_TOKEN}"}
    told = repr(receiver.spans) + "".join(traced.log_tails().values())
    assert PASSWORD not in told
    assert COLLECTORS_TOKEN not in told


def test_who_is_at_rest_is_woken_in_the_trace_of_who_wakes_it_and_who_is_not_links_to_it(
    traced: SplitStack, receiver: TraceReceiver, quay: ScriptedPeer
) -> None:
    api = traced.api
    api.create(cluster_broker("quay", quay.url))
    api.await_ready("clusterservicebrokers", "quay")
    assert api.call("POST", _SECRETS, sized(1)).status == 201
    source = [{"secretKeyRef": {"name": "size", "key": "json"}}]
    boat = instance("boat", "berth", parametersFrom=source, watchParametersFrom=True)
    assert api.create(boat).status == 201
    api.await_ready("serviceinstances", "boat")
    until_at_rest(traced)

    alone, waking, changing = (f"{number:032x}" for number in (1, 2, 3))
    write(api, alone, f"{_SECRETS}/size", sized(2))
    (call,) = receiver.until(alone, "PATCH /v2/service_instances")
    above = receiver.above(call, client=PARENT)
    assert above[1:] == [
        (PROVISIONER, "reconcile ServiceInstance"),
        (PROVISIONER, f"process {INSTANCES}"),
        (GATEWAY, f"send {INSTANCES}"),
        (GATEWAY, "PUT /api/v1/namespaces/{namespace}/secrets/{name}"),
    ]
    api.await_ready("serviceinstances", "boat")
    until_at_rest(traced)

    # Both have written before anybody looks: the change is the cause of the one round, and the wake-up comes first.
    traced.programs["provisioner"].stop()
    write(api, waking, f"{_SECRETS}/size", sized(3))
    receiver.until(waking, f"send {INSTANCES}")
    write(api, changing, f"{_API}/serviceinstances/boat", {**boat, "spec": {**boat["spec"], "updateRequests": 1}})
    receiver.until(changing, f"send {INSTANCES}")
    traced.start("provisioner")
    (processed,) = receiver.until(waking, f"process {INSTANCES}")
    (first, *_) = receiver.until(changing, "reconcile ServiceInstance")
    assert processed.span_id in first.links
    assert [service for service, _ in receiver.above(processed, client=PARENT)] == [PROVISIONER, GATEWAY, GATEWAY]
    assert not receiver.of(waking, "reconcile ServiceInstance")


def until_at_rest(stack: SplitStack) -> None:
    """Nothing goes on any more in a trace: who is woken while something does goes on in that."""
    under_way = "SELECT count(*) FROM work_queue WHERE kind = 'ServiceInstance' AND traceparent IS NOT NULL"
    url = stack.share.database_url
    wait_for(lambda: one_value(url, under_way), lambda count: count == 0, what="all instances to be at rest")


def sized(size: int) -> dict[str, Any]:
    """The Secret that an instance takes its parameters from."""
    data = {"json": f'{{"size": {size}}}'}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "size"}, "stringData": data}


def write(api: ApiClient, trace: str, path: str, document: dict[str, Any]) -> None:
    """Replace what is there, within a client's trace."""
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    found = api.call("GET", path).body
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    changed = document | {"metadata": document["metadata"] | version}
    assert api.call("PUT", path, changed, headers=headers).status == 200
