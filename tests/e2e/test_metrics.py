"""`chandlery up` tells all metrics that are declared: with the token of its kubeconfig, and on a port of their own."""

import http.client
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import pytest

from chandlery.telemetry.catalog import database_use, message_flow, processes, work
from chandlery.telemetry.catalog.every_metric import EVERY_METRIC
from machine.prometheus import prometheus
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.api_client import JsonObject
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK, free_port
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.metrics_page import names, told
from tests.support.waiting import wait_for

ELSEWHERE: Final = {
    message_flow.BUS_CONNECTIONS_LOST.name: "a bus within the process is never lost",
    work.LEASES_LOST.name: "a process that is well loses none",
    work.SWEPT.name: "nothing is left behind where nobody dies",
}
"""What cannot happen here, and why not."""
COMING: Final = {
    work.BACKLOG.name,
    work.BACKLOG_AGE_SECONDS.name,
    work.BINDINGS_EXPIRING.name,
    work.CATALOG_CHANGES.name,
    work.CATALOG_SYNCED.name,
    work.CATALOG_SYNCS.name,
    work.OBJECTS.name,
    database_use.DATABASE_BYTES.name,
    database_use.DISK_BYTES.name,
    database_use.DISK_FREE_BYTES.name,
    message_flow.DEAD_LETTERS.name,
    message_flow.OUTBOX.name,
    message_flow.OUTBOX_AGE_SECONDS.name,
    processes.REPLICAS.name,
}
"""What nobody feeds yet."""


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
    """A try that fails and one that does not, a binding that is rotated, and a broker that is given a rest."""
    api = stack.api
    with _offering("good") as good, _offering("bad") as bad, api.watch("serviceinstances"):
        good.script(PROVISION, Reply(500, {"description": "not now"}))
        bad.always(PROVISION, Reply(500, {"description": "never"}))
        _create(stack, cluster_broker("good", good.url))
        _create(stack, cluster_broker("bad", bad.url, circuitBreaker={"consecutiveFailures": 1}))
        for broker in ("good", "bad"):
            api.await_ready("clusterservicebrokers", broker)
        _create(stack, instance("one", "good"), instance("another", "bad"), binding("one", "one"))
        api.await_ready("servicebindings", "one")
        stack.kubectl().ok("annotate", "servicebinding", "one", "chandlery.io/rotate-requested-at=now")
        api.await_object("servicebindings", "one", lambda seen: "lastRotationTime" in seen["status"])
        bad.wait_for(PROVISION)


def _offering(name: str) -> AbstractContextManager[ScriptedPeer]:
    return scripted_peer(simple_catalog(simple_service(name, plans=[simple_plan(binding_rotatable=True)])))


def _create(stack: EmbeddedStack, *documents: JsonObject) -> None:
    for document in documents:
        assert stack.api.create(document).status == http.client.CREATED


def test_page_is_read_with_the_token_of_the_kubeconfig(observed: Observed) -> None:
    text = observed.stack.kubectl().ok("get", "--raw", "/metrics")
    assert told(text)["chandlery_writes_total", "ServiceInstance", "create"] == 2


def test_page_wants_a_token_on_the_port_of_the_api(observed: Observed) -> None:
    status, _ = observed.stack.api.send("GET", "/metrics", headers={"Authorization": ""})
    assert status == http.client.UNAUTHORIZED


def test_every_metric_that_is_declared_is_fed(observed: Observed) -> None:
    observed.await_names({metric.name for metric in EVERY_METRIC} - ELSEWHERE.keys() - COMING)


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
