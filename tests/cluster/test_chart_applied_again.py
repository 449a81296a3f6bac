"""What the chart makes is taken by both kubectls without a warning, and stays as it is when it is applied again."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.stage.chart_installation import chart_objects, chart_values
from tests.cluster.stage.installation_manifests import NAMESPACE
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject
from tests.e2e.stacks.kubectl import KubectlChoice, manifest
from tests.e2e.stacks.stacks import SERVICES
from tests.unit.deploy.conftest import values_in_cluster

VALUES: dict[str, JsonObject] = {
    "as it comes": {},
    "rights for some": {"kubernetes": {"secrets": {"namespaces": ["default"], "brokerNamespaces": ["kube-public"]}}},
    "rights for all": {"kubernetes": {"secrets": {"clusterWide": True}, "roles": {"catalogForEverybody": True}}},
    "metrics and replicas": {"metrics": {"enabled": True}, "gateway": {"replicas": 3}},
}


@pytest.fixture
def documents(request: pytest.FixtureRequest, cluster: RealCluster) -> Iterator[list[JsonObject]]:
    made = list(chart_objects(chart_values(**request.param)).values())
    cluster.put("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    # Service accounts of the same names, which the tests before this have left, were never applied.
    cluster.kubectl().ok("delete", "--ignore-not-found", "-f", "-", stdin=manifest(*_api_services_first(made)))
    yield made
    # APIServices first, so that discovery does not wait for gateways that are not there.
    cluster.kubectl().ok("delete", "--ignore-not-found", "-f", "-", stdin=manifest(*_api_services_first(made)))


@pytest.mark.parametrize("documents", list(VALUES.values()), ids=list(VALUES), indirect=True)
@pytest.mark.parametrize("choice", ["any", "debian"])
def test_all_is_taken_and_stays_as_it_is(
    cluster: RealCluster, documents: list[JsonObject], choice: KubectlChoice
) -> None:
    text = manifest(*_api_services_first(documents)[::-1])
    first, again = (cluster.kubectl(choice).run("apply", "-f", "-", stdin=text) for _ in range(2))
    assert (first.code, first.err) == (0, ""), first
    assert (again.code, again.err) == (0, ""), again
    assert [line for line in again.out.splitlines() if not line.endswith(" unchanged")] == []


def test_disruption_budgets_are_taken_in_the_version_that_this_cluster_has(cluster: RealCluster) -> None:
    """The chart's `policy/v1` has the same fields, and came with the next release."""
    made = [body for (kind, _), body in chart_objects(values_in_cluster()).items() if kind == "PodDisruptionBudget"]
    assert len(made) == len(SERVICES)
    cluster.put("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    text = manifest(*({**body, "apiVersion": "policy/v1beta1"} for body in made))
    printed = cluster.kubectl().ok("apply", "--warnings-as-errors", "--validate=true", "-f", "-", stdin=text)
    assert [line.rpartition(" ")[2] for line in printed.splitlines()] == ["created"] * len(made)
    cluster.kubectl().ok("delete", "-f", "-", stdin=text)


def _api_services_first(documents: list[JsonObject]) -> list[Any]:
    return sorted(documents, key=lambda each: each["kind"] != "APIService")
