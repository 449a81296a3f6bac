"""SIGTERM: exit code 0 within the grace period; what is under way is finished, or given back for others."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.api_client import ApiClient, is_in_progress
from tests.e2e.stacks.brokers import DemoBroker, ScriptedPeer, scripted_peer
from tests.e2e.stacks.kubectl import Kubectl
from tests.e2e.stacks.manifests import cluster_broker, instance
from tests.e2e.stacks.programs import free_port
from tests.e2e.stacks.stacks import SERVICES, EmbeddedStack, SplitStack, split_stack
from tests.support.selection import IS_BRIEF
from tests.support.waiting import wait_for

_GRACE_SECONDS: Final = 2
_IDLE_END_SECONDS: Final = 30.0
_LONG_LEASE_SECONDS: Final = 60
ENDS: Final = [
    ("gateway", signal.SIGTERM),
    ("syncer", signal.SIGINT),
    *([] if IS_BRIEF else [(name, signal.SIGTERM) for name in SERVICES if name != "gateway"]),
]
"""All services end by the same lines."""


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitStack]:
    """With a lease so long that only what was given back can be taken over within the test."""
    environment = {
        "CHANDLERY_SHUTDOWN_SECONDS": str(_GRACE_SECONDS),
        "CHANDLERY_LEASE_SECONDS": str(_LONG_LEASE_SECONDS),
    }
    with split_stack(tmp_path_factory.mktemp("split"), environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def kubectl(split: SplitStack) -> Kubectl:
    return split.kubectl()


@pytest.fixture
def api(split: SplitStack) -> ApiClient:
    return split.api


@pytest.fixture
def peer(kubectl: Kubectl, api: ApiClient) -> Iterator[ScriptedPeer]:
    with scripted_peer() as found:
        kubectl.create(cluster_broker("scripted", found.url))
        api.await_ready("clusterservicebrokers", "scripted")
        yield found
        kubectl.ok("delete", "serviceinstances", "--all", "--timeout=30s")
        kubectl.ok("delete", "clusterservicebroker", "scripted", "--timeout=30s")


@pytest.mark.parametrize(("name", "number"), ENDS)
def test_idle_process_ends_at_once_with_code_0(split: SplitStack, name: str, number: signal.Signals) -> None:
    program = split.programs[name]
    begun = time.monotonic()
    program.signal(number)
    assert program.wait() == 0
    assert time.monotonic() - begun < _IDLE_END_SECONDS
    assert "Traceback" not in program.log_text()
    split.start(name)


def test_gateway_ends_although_somebody_watches(split: SplitStack, kubectl: Kubectl, tmp_path: Path) -> None:
    watching = kubectl.begin("get", "namespaces", "-w", output=tmp_path / "watch")
    try:
        wait_for((tmp_path / "watch").read_text, lambda text: "default" in text, what="the list before the watch")
        begun = time.monotonic()
        split.programs["gateway"].signal()
        assert split.programs["gateway"].wait() == 0
        assert time.monotonic() - begun < _IDLE_END_SECONDS
    finally:
        watching.terminate()
        watching.wait(10)
        split.start("gateway")


def test_call_under_way_is_finished_before_the_end(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    gate = peer.hold(PROVISION)
    kubectl.create(instance("finished", "test-service"))
    peer.wait_for(PROVISION)
    program = split.programs["provisioner"]
    program.signal()
    gate.open()
    assert program.wait() == 0
    try:
        api.await_ready("serviceinstances", "finished", seconds=5)
    finally:
        split.start("provisioner")
    assert len(peer.seen_of(PROVISION)) == 1


def test_call_that_takes_too_long_is_given_back(
    split: SplitStack, kubectl: Kubectl, api: ApiClient, peer: ScriptedPeer
) -> None:
    peer.hold(PROVISION)
    kubectl.create(instance("given", "test-service"))
    peer.wait_for(PROVISION)
    program = split.programs["provisioner"]
    begun = time.monotonic()
    program.signal()
    assert program.wait() == 0
    assert time.monotonic() - begun < _GRACE_SECONDS + _IDLE_END_SECONDS
    assert "Traceback" not in program.log_text()
    split.start("provisioner")
    first, second = peer.wait_for(PROVISION, 2)[:2]
    assert (first.raw_path, first.body) == (second.raw_path, second.body)
    api.await_ready("serviceinstances", "given")


@pytest.mark.parametrize("number", [signal.SIGTERM] if IS_BRIEF else [signal.SIGINT, signal.SIGTERM])
def test_all_in_one_says_what_it_waits_for_and_ends_when_it_is_asked_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    stack = EmbeddedStack(tmp_path, environment={"CHANDLERY_SHUTDOWN_SECONDS": "600"})
    with scripted_peer() as peer:
        try:
            stack.start()
            kubectl = stack.kubectl()
            kubectl.create(cluster_broker("slow", peer.url))
            stack.api.await_ready("clusterservicebrokers", "slow")
            peer.hold(PROVISION)
            kubectl.create(instance("waited-for", "test-service"))
            peer.wait_for(PROVISION)
            up = stack.programs["up"]
            up.signal(number)
            text = up.await_log("it waits up to 600 s for ServiceInstance default/waited-for at service broker slow")
            assert "a second Ctrl-C or SIGTERM releases the work and ends now" in text
            up.signal(number)
            assert up.wait() == 0
            assert "Traceback" not in up.log_text()
            stack.start()
            first, second = peer.wait_for(PROVISION, 2)[:2]
            assert (first.raw_path, first.body) == (second.raw_path, second.body)
        finally:
            stack.stop()


@pytest.mark.parametrize("end", ["SIGKILL"] if IS_BRIEF else ["SIGTERM", "SIGKILL"])
def test_all_in_one_goes_on_where_it_was(tmp_path: Path, end: str) -> None:
    stack = EmbeddedStack(tmp_path, port=free_port())
    with DemoBroker(tmp_path, "--async", "--delay", "1") as broker:
        try:
            stack.start()
            kubectl = stack.kubectl()
            kubectl.create(cluster_broker("demo-broker", broker.url))
            kubectl.create(instance("resumed", "demo-service-async", "small"))
            stack.api.await_object("serviceinstances", "resumed", is_in_progress)
            if end == "SIGTERM":
                assert stack.programs["up"].stop() == 0
            else:
                stack.kill("up")
            stack.start()
            stack.api.await_ready("serviceinstances", "resumed")
            kubectl.ok("delete", "serviceinstance", "resumed", "--timeout=30s")
            kubectl.ok("delete", "clusterservicebroker", "demo-broker", "--timeout=30s")
        finally:
            stack.stop()
    assert [method for method, _, _ in broker.requests()].count("PUT") == 1
