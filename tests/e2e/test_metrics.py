"""`chandlery up` tells all metrics that are declared: with the token of its kubeconfig, and on a port of their own.

A real Prometheus scrapes it, and evaluates every query of the dashboards and every rule.
"""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from chandlery.telemetry.catalog import api_requests, message_flow, processes, work
from chandlery.telemetry.catalog.every_metric import EVERY_METRIC
from machine.prometheus import prometheus
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import BIND, PROVISION
from tests.e2e.stacks.api_client import JsonObject
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK, REPOSITORY, free_port
from tests.e2e.stacks.prometheus import PrometheusServer
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.measured.metrics_page import names, told
from tests.support.measured.promql import declared, names_in, parsed, selectors
from tests.support.waiting import wait_for

ELSEWHERE: Final = {
    message_flow.BUS_CONNECTIONS_LOST.name: "a bus within the process is never lost",
    processes.DEGRADED.name: "a process with a bus and keys of its own works without none of its parts",
    work.LEASES_LOST.name: "a process that is well loses none",
    api_requests.CLUSTER_REVIEWS.name: "there is no cluster to ask",
    work.SWEPT.name: "nothing is left behind where nobody dies",
}
"""What cannot happen here, and why not."""
COUNTED: Final = {work.BACKLOG, work.BACKLOG_AGE_SECONDS, work.BINDINGS_EXPIRING, work.CATALOG_SYNCED, work.OBJECTS}
"""Of these there is no series while there is nothing to count, and they are counted now and then."""

DASHBOARDS: Final = sorted((REPOSITORY / "deploy/dashboards").glob("*.json"))
LABEL_VALUES: Final = re.compile(r"label_values\((.+), (\w+)\)")


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


@pytest.fixture(scope="module")
def server(observed: Observed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Prometheus, while somebody watches and a call is under way."""
    stack, target = observed.stack, f"{LOOPBACK}:{observed.port}"
    with (
        _offering("slow") as slow,
        stack.api.watch("serviceinstances"),
        PrometheusServer(tmp_path_factory.mktemp("prometheus"), targets=[target]) as prometheus,
    ):
        gate = slow.hold(PROVISION)
        _create(stack, cluster_broker("slow", slow.url))
        stack.api.await_ready("clusterservicebrokers", "slow")
        _create(stack, instance("waiting", "slow"))
        slow.wait_for(PROVISION)
        prometheus.await_scrape()
        # A rate takes two.
        prometheus.await_scrape()
        yield prometheus
        gate.open()


def _queries() -> Iterator[str]:
    """Of each panel of each dashboard."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (each["expr"] for each in panel.get("targets", ()))


def _as_grafana_asks(expr: str, *, instance: str) -> str:
    """With the values that a reader may choose."""
    chosen = {"$__rate_interval": "4s", "$namespace": ".*", "$broker": "good", "$service": ".*", "$instance": instance}
    for name, value in chosen.items():
        expr = expr.replace(name, value)
    return expr


def _have_something_happen(stack: EmbeddedStack) -> None:
    """A try that fails and one that does not, a binding that is rotated, and a broker that is given a rest."""
    api = stack.api
    with _offering("good") as good, _offering("bad") as bad, api.watch("serviceinstances"):
        good.script(PROVISION, Reply(500, {"description": "not now"}))
        bad.always(PROVISION, Reply(500, {"description": "never"}))
        soon = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
        good.always(BIND, Reply(201, {"credentials": {"user": "one"}, "metadata": {"expires_at": soon}}))
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
    observed.await_names({metric.name for metric in EVERY_METRIC} - ELSEWHERE.keys())


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


def test_every_query_of_the_dashboards_can_be_evaluated(server: PrometheusServer, observed: Observed) -> None:
    asked = [_as_grafana_asks(expr, instance=f"{LOOPBACK}:{observed.port}") for expr in _queries()]
    shown = sum(bool(server.query(expr)) for expr in asked)
    assert len(asked) > 100
    # The others tell of what goes wrong, or of hours.
    assert shown > 0.5 * len(asked)


def test_every_variable_of_the_dashboards_has_values(server: PrometheusServer) -> None:
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"][1:]:
            selector, label = LABEL_VALUES.fullmatch(variable["query"]["query"]).groups()  # type: ignore[union-attr]
            found = server.series(_as_grafana_asks(selector, instance=".*"))
            assert found, selector
            # Outside Kubernetes nobody has a namespace.
            assert label == "namespace" or any(each.get(label) for each in found), selector


def test_every_rule_can_be_evaluated_and_none_fires_where_all_is_well(server: PrometheusServer) -> None:
    rules = server.rules()
    assert {(rule["name"], rule.get("lastError", "")) for rule in rules if rule["health"] != "ok"} == set()
    assert {rule["name"] for rule in rules if rule.get("state") == "firing"} == set()


def test_every_metric_that_a_dashboard_or_a_rule_names_is_there(server: PrometheusServer) -> None:
    asked = [*_queries(), *(rule["query"] for rule in server.rules())]
    named = {name for expr in asked for selector in selectors(parsed(expr)) for name in names_in(selector)}
    ours = {name for name in named if name in declared()} - {"ALERTS"} - ELSEWHERE.keys()
    ours -= {metric.name for metric in COUNTED}
    # What is in the database is counted every quarter of a minute.
    wait_for(lambda: sorted(ours - server.names()), lambda missing: not missing, what="these metrics")
