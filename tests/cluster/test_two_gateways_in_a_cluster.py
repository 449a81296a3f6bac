"""Two gateways behind one APIService are one API server to the cluster and its users, whichever comes and goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import instance
from tests.support.waiting import wait_for

_INSTANCES = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/{}/serviceinstances"


@pytest.fixture
def both(chandlery: InstalledChandlery) -> Iterator[InstalledChandlery]:
    """Both gateways, at the end of the test, too."""
    yield chandlery
    for name in chandlery.gateways:
        if not chandlery.programs[name].is_running:
            chandlery.start(name)


def _replace_connections(chandlery: InstalledChandlery) -> None:
    """kube-apiserver keeps one connection to a server as long as it can: only a new one may go to the other gateway."""
    chandlery.relay.cut()
    chandlery.relay.open()


def test_a_write_is_read_back_through_whichever_gateway_is_drawn(
    both: InstalledChandlery, shop: DemoBroker, namespace: str
) -> None:
    api = both.api
    for number in range(12):
        _replace_connections(both)
        written = wait_for(
            lambda name=f"drawn-{number}": api.create(instance(name), namespace=namespace),  # type: ignore[misc]
            lambda answer: answer.status != 503,
            what="a connection between cluster and gateway",
        )
        assert written.status in (201, 409), written
        _replace_connections(both)
        wait_for(
            lambda: api.names("serviceinstances", namespace=namespace),
            lambda names, name=f"drawn-{number}": name in names,  # type: ignore[misc]
            what="the instance",
        )
    assert len(both.relay.served) == 2, both.relay.served


@pytest.mark.parametrize("gone", ["gateway", "gateway-2"])
def test_users_go_on_when_a_gateway_dies(both: InstalledChandlery, shop: DemoBroker, namespace: str, gone: str) -> None:
    both.kill(gone)
    both.await_available()
    wait_for(
        lambda: both.api.read(_INSTANCES.format(namespace))[0], lambda status: status == 200, what="the other gateway"
    )
    both.kubectl().create(instance(f"after-{gone}"))
    both.api.await_ready("serviceinstances", f"after-{gone}")


def test_a_rolling_restart_refuses_nobody(both: InstalledChandlery, shop: DemoBroker, namespace: str) -> None:
    refused = []
    for name in both.gateways:
        with both.without_new_connections(name):
            both.programs[name].signal()
            while both.programs[name].is_running:
                status, body = both.api.read(_INSTANCES.format(namespace))
                if status != 200:
                    refused.append((status, body))
            both.start(name)
    assert refused == []


def test_a_watch_of_kubectl_goes_on_over_a_rolling_restart(
    both: InstalledChandlery, cluster: RealCluster, shop: DemoBroker, namespace: str, tmp_path: Path
) -> None:
    output = tmp_path / "watched"
    words = ("wait", "--for=condition=Ready", "--timeout=60s", "serviceinstance/awaited", "-n", namespace)
    both.api.create(instance("awaited", clusterServicePlanExternalName="none-of-these"), namespace=namespace)
    waiting = both.kubectl().begin(*words, output=output)
    try:
        for name in both.gateways:
            with both.without_new_connections(name):
                both.programs[name].stop()
                both.start(name)
        plan = {"spec": {"clusterServicePlanExternalName": "default"}}
        both.api.send(
            "PATCH",
            f"{_INSTANCES.format(namespace)}/awaited",
            plan,
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert waiting.wait(90) == 0, output.read_text()
    finally:
        waiting.kill()
        waiting.wait()
