"""`chandlery up` tells all metrics that are declared: with the token of its kubeconfig, and on a port of their own."""

import http.client
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from chandlery.telemetry.catalog import api_requests, processes
from chandlery.telemetry.metric import Metric
from machine.prometheus import prometheus
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.brokers import scripted_peer
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK, free_port
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.metrics_page import names, told
from tests.support.waiting import wait_for

EVERY: Final[tuple[Metric, ...]] = (*api_requests.EVERY, *processes.EVERY)
ELSEWHERE: Final = {
    processes.REPLICAS.name: "of one process there is nobody to count",
    processes.LOG_LINES.name: "",
}
"""What cannot happen here, and why not."""


@dataclass
class Observed:
    """A whole Chandlery in which something of everything has happened."""

    stack: EmbeddedStack
    port: int

    def page(self) -> str:
        """What Prometheus reads."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            assert response.status == http.client.OK
            return response.read().decode()
        finally:
            connection.close()

    def await_names(self, wanted: set[str]) -> set[str]:
        """Wait for these; answers what else there is."""
        return wait_for(lambda: set(names(self.page())), lambda seen: wanted <= seen, what=f"all of {wanted}")


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    port = free_port()
    stack = EmbeddedStack(tmp_path_factory.mktemp("observed"), environment={"CHANDLERY_METRICS_PORT": str(port)})
    try:
        stack.start()
        _have_something_happen(stack)
        yield Observed(stack, port)
    finally:
        stack.stop()


def _have_something_happen(stack: EmbeddedStack) -> None:
    api = stack.api
    with scripted_peer() as peer, api.watch("serviceinstances"):
        peer.script(PROVISION, Reply(500, {"description": "not now"}))
        assert api.create(cluster_broker("observed", peer.url)).status == http.client.CREATED
        api.await_ready("clusterservicebrokers", "observed")
        assert api.create(instance("one", "test-service")).status == http.client.CREATED
        assert api.create(binding("one", "one")).status == http.client.CREATED
        api.await_ready("servicebindings", "one")


def test_page_is_read_with_the_token_of_the_kubeconfig(observed: Observed) -> None:
    text = observed.stack.kubectl().ok("get", "--raw", "/metrics")
    assert told(text)["chandlery_writes_total", "ServiceInstance", "create"] == 1


def test_page_wants_a_token_on_the_port_of_the_api(observed: Observed) -> None:
    status, _ = observed.stack.api.send("GET", "/metrics", headers={"Authorization": ""})
    assert status == http.client.UNAUTHORIZED


def test_every_metric_that_is_declared_is_fed(observed: Observed) -> None:
    observed.await_names({metric.name for metric in EVERY} - ELSEWHERE.keys())


def test_prometheus_has_no_fault_to_find_with_the_page(observed: Observed) -> None:
    done = subprocess.run(
        [str(prometheus().promtool), "check", "metrics"],
        input=observed.page(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
