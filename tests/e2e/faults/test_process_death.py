"""Any of the four processes dies in mid-walk and comes back: nothing is lost, nothing is done twice at once.

Death is SIGKILL. With the demo broker operations take their time; with the scripted one a test holds the very request
during which a process dies.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_templates import BIND, DEPROVISION, GET_CATALOG, PROVISION
from tests.e2e.stacks.api_client import ApiClient, JsonObject, is_in_progress, is_ready, secret_values
from tests.e2e.stacks.brokers import DemoBroker, ScriptedPeer, scripted_peer
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.servers import tables_locked
from tests.e2e.stacks.stacks import SERVICES, SplitStack
from tests.support.waiting import wait_for

_DELAY_SECONDS: Final = "0.8"
_CREDENTIALS: Final = {"uri": "http://scripted.test/1", "username": "user", "password": "secret"}
_BOUND: Final = Reply(201, {"credentials": _CREDENTIALS})
_ORIGINATING_IDENTITY: Final = "X-Broker-API-Originating-Identity"


@pytest.fixture(scope="module")
def demo_broker(folder: Path) -> Iterator[DemoBroker]:
    with DemoBroker(folder, "--async", "--delay", _DELAY_SECONDS) as broker:
        yield broker


@pytest.fixture(scope="module")
def kubectl(split: SplitStack) -> Kubectl:
    return split.kubectl()


@pytest.fixture
def api(split: SplitStack) -> ApiClient:
    return split.api


@pytest.fixture(autouse=True)
def everything_runs(split: SplitStack, kubectl: Kubectl, demo_broker: DemoBroker) -> Iterator[None]:
    """A test that fails while a process is dead does not spoil the next one."""
    yield
    _revive(split)
    _clean(kubectl)


@pytest.fixture
def peer(split: SplitStack, kubectl: Kubectl, everything_runs: None) -> Iterator[ScriptedPeer]:
    """A scripted broker; what the test has made at it is deleted while it still answers."""
    with scripted_peer(credentials=_CREDENTIALS) as found:
        yield found
        _revive(split)
        _clean(kubectl)


def _revive(split: SplitStack) -> None:
    dead = [name for name in SERVICES if not split.programs[name].is_running]
    if dead:
        split.start(*dead)


def _restart(split: SplitStack, name: str) -> None:
    split.kill(name)
    split.start(name)


@pytest.mark.parametrize("victim", SERVICES)
def test_walk_goes_on_when_a_process_dies_at_every_step(
    victim: str, split: SplitStack, kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker
) -> None:
    kubectl.create(cluster_broker("demo-broker", demo_broker.url))
    _restart(split, victim)
    api.await_ready("clusterservicebrokers", "demo-broker")

    kubectl.create(instance("survivor", "demo-service-async", "small"), binding("survivor", "survivor"))
    api.await_object("serviceinstances", "survivor", _is_begun)
    _restart(split, victim)
    ready = api.await_ready("serviceinstances", "survivor")

    api.await_object("servicebindings", "survivor", _is_begun)
    _restart(split, victim)
    bound = api.await_ready("servicebindings", "survivor")
    secret = api.find("secrets", "survivor")
    assert secret is not None
    assert secret_values(secret)["uri"] == f"http://demo.local/{bound['spec']['externalID']}"

    kubectl.ok("delete", "servicebinding/survivor", "serviceinstance/survivor", "--wait=false")
    _restart(split, victim)
    api.await_gone("servicebindings", "survivor")
    api.await_gone("serviceinstances", "survivor")
    assert api.find("secrets", "survivor") is None

    path = f"/v2/service_instances/{ready['spec']['externalID']}"
    assert demo_broker.status_of(path) == 404
    assert _created(demo_broker, ready["metadata"]["name"], path) == {path}


def test_dead_gateway_has_lost_nothing_it_had_accepted(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    names = [f"accepted-{number}" for number in range(5)]
    kubectl.create(*(instance(name, "test-service") for name in names))
    _restart(split, "gateway")
    for name in names:
        api.await_ready("serviceinstances", name)
    assert (
        len(peer.seen_of(PROVISION)) == len({one.ids["instance_id"] for one in peer.seen_of(PROVISION)}) == len(names)
    )


def test_dead_provisioner_repeats_exactly_the_request_that_was_open(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    peer.hold(PROVISION)
    kubectl.create(instance("held", "test-service", parameters={"size": 5}))
    peer.wait_for(PROVISION)
    split.kill("provisioner")
    # A change of meanwhile must not get into the repetition: the broker would call it a conflict.
    kubectl.ok("patch", "serviceinstance", "held", "--type=merge", "-p", '{"spec": {"parameters": {"size": 6}}}')
    split.start("provisioner")
    first, second = peer.wait_for(PROVISION, 2)[:2]
    _assert_same(first, second)
    found = api.await_ready("serviceinstances", "held", generation=2)
    assert found["status"]["externalProperties"]["parameters"] == {"size": 6}
    assert len(peer.seen_of(PROVISION)) == 2
    _clean(kubectl)
    assert len({one.ids["instance_id"] for one in peer.seen()[1:]}) == 1


def test_dead_provisioner_finishes_the_deletion_that_was_open(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    kubectl.create(instance("leaving", "test-service"))
    api.await_ready("serviceinstances", "leaving")
    peer.hold(DEPROVISION, Reply(200))
    kubectl.ok("delete", "serviceinstance", "leaving", "--wait=false")
    peer.wait_for(DEPROVISION)
    _restart(split, "provisioner")
    first, second = peer.wait_for(DEPROVISION, 2)[:2]
    assert first.raw_path == second.raw_path
    api.await_gone("serviceinstances", "leaving")


def test_dead_binder_repeats_exactly_the_request_that_was_open(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    kubectl.create(instance("bound", "test-service"))
    api.await_ready("serviceinstances", "bound")
    peer.hold(BIND, _BOUND)
    kubectl.create(binding("bound", "bound", parameters={"role": "reader"}))
    peer.wait_for(BIND)
    _restart(split, "binder")
    first, second = peer.wait_for(BIND, 2)[:2]
    _assert_same(first, second)
    api.await_ready("servicebindings", "bound")
    _assert_secret(api, "bound")


def test_binder_that_dies_with_the_answer_in_its_hands_fetches_it_again(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    kubectl.create(instance("answered", "test-service"))
    api.await_ready("serviceinstances", "answered")
    gate = peer.hold(BIND, _BOUND)
    kubectl.create(binding("answered", "answered"))
    peer.wait_for(BIND)
    with tables_locked(split.share.database_url, "work_queue"):
        # The answer arrives, and cannot be recorded.
        gate.open()
        wait_for(lambda: peer.seen_of(BIND)[0].answered_at, what="the answer to the bind request")
        split.kill("binder")
    split.start("binder")
    first, second = peer.wait_for(BIND, 2)[:2]
    _assert_same(first, second)
    api.await_ready("servicebindings", "answered")
    _assert_secret(api, "answered")


def test_dead_syncer_fetches_the_catalog_again(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    peer.hold(GET_CATALOG)
    kubectl.create(cluster_broker("scripted", peer.url))
    peer.wait_for(GET_CATALOG)
    _restart(split, "syncer")
    api.await_ready("clusterservicebrokers", "scripted")
    assert api.names("clusterserviceclasses") == ["test-service-id"]


def test_all_four_die_at_once_and_the_walk_goes_on(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    _register(kubectl, api, peer)
    peer.hold(PROVISION)
    kubectl.create(instance("blackout", "test-service"), binding("blackout", "blackout"))
    peer.wait_for(PROVISION)
    split.kill(*SERVICES)
    split.start()
    api.await_ready("servicebindings", "blackout")
    _assert_same(*peer.seen_of(PROVISION)[:2])
    assert len(peer.seen_of(BIND)) == 1


def _register(kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer) -> None:
    kubectl.create(cluster_broker("scripted", peer.url))
    api.await_ready("clusterservicebrokers", "scripted")


def _clean(kubectl: Kubectl) -> None:
    kubectl.ok("delete", "servicebindings,serviceinstances", "--all", "--timeout=30s")
    kubectl.ok("delete", "clusterservicebrokers", "--all", "--timeout=30s")
    assert kubectl.ok("get", "secrets,clusterserviceclasses,clusterserviceplans", "-o", "name") == ""


def _is_begun(document: JsonObject) -> bool:
    # A gateway may come back so late that the operation is over by then.
    return is_in_progress(document) or is_ready(document)


def _assert_same(first: SeenRequest, second: SeenRequest) -> None:
    assert (second.method, second.raw_path) == (first.method, first.raw_path)
    assert second.body == first.body
    assert second.headers[_ORIGINATING_IDENTITY] == first.headers[_ORIGINATING_IDENTITY]


def _assert_secret(api: ApiClient, name: str) -> None:
    secret = api.find("secrets", name)
    assert secret is not None
    assert secret_values(secret) == _CREDENTIALS


def _created(broker: DemoBroker, name: str, path: str) -> set[str]:
    """The instances that the broker was asked to create since `path` was first."""
    requests = broker.requests()
    begun = next(number for number, request in enumerate(requests) if request[1] == path)
    return {at for method, at, _ in requests[begun:] if method == "PUT" and "service_bindings" not in at}
