"""What the tests of stock clients share: both forms of Chandlery, one of them with two gateways behind one address.

A module's tests share its stacks, so they keep to a namespace of their own, and to brokers with a catalog of their own.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.e2e.clients.replicated_stack import ReplicatedStack, replicated_stack
from tests.e2e.stacks.api_client import ApiClient
from tests.e2e.stacks.brokers import DemoBroker, ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import cluster_broker
from tests.e2e.stacks.stacks import Stack
from tests.support.selection import IS_BRIEF

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicatedStack]:
    """Every service a process of its own, the gateway twice; each request goes to one of the two at random."""
    with replicated_stack(tmp_path_factory.mktemp("replicated")) as stack:
        yield stack


@pytest.fixture(scope="module", params=["replicated"] if IS_BRIEF else ["embedded", "replicated"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each form in turn: `stack.kubeconfig` is the way in, `stack.api` and `stack.kubectl()` are two clients of it."""
    found: Stack = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def api(stack: Stack) -> ApiClient:
    return stack.api


@pytest.fixture(scope="module")
def demo_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoBroker]:
    """The example broker: `demo-service` answers at once, `demo-service-async` takes half a second."""
    with DemoBroker(tmp_path_factory.mktemp("broker"), "--async", "--delay", "0.5") as broker:
        yield broker


@pytest.fixture(scope="module")
def shop(stack: Stack, demo_broker: DemoBroker) -> Stack:
    """The stack with the demo broker registered for the cluster, under the name `demo-broker`, and in sync."""
    document = cluster_broker("demo-broker", demo_broker.url)
    status, body = stack.api.send("POST", "/apis/servicecatalog.k8s.io/v1beta1/clusterservicebrokers", document)
    assert status == 201, body
    stack.api.await_ready("clusterservicebrokers", "demo-broker")
    return stack


@pytest.fixture
def scripted() -> Iterator[ScriptedPeer]:
    """A broker that answers by script; register it in the test's namespace, for its catalog is always the same."""
    with scripted_peer() as peer:
        yield peer


@pytest.fixture
def namespace(stack: Stack) -> Iterator[str]:
    """A namespace nobody else has; what is left in it goes at the end, without being waited for."""
    name = f"team-{next(_NUMBERS)}"
    status, body = stack.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert status == 201, body
    yield name
    stack.api.send("DELETE", f"/api/v1/namespaces/{name}")
