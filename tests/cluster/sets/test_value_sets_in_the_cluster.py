"""Every set of values in a real cluster: kube-apiserver takes each object without a warning and knows each field."""

import json
from typing import Final

import pytest

from tests.cluster.sets.manifest_dry_runs import DryRuns
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject
from tests.unit.deploy.sets.kubernetes_schemas import is_custom
from tests.unit.deploy.sets.release_changes import earlier, releases
from tests.unit.deploy.sets.value_sets import SETS, label, rendered

_KIND: Final = "Namespace"
# Of a Service, and later than 1.20.
_LATER: Final = {
    f"does not know .spec.{field}"
    for field in ("internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy", "loadBalancerClass", "trafficDistribution")
}


@pytest.fixture(scope="module")
def dry_runs(cluster: RealCluster) -> DryRuns:
    """With every namespace that an object is in: a dry run needs it, and does not make it."""
    places = {body["metadata"].get("namespace", "default") for name in SETS for body in rendered(name).objects}
    for place in sorted(places):
        cluster.put("/api/v1/namespaces", {"apiVersion": "v1", "kind": _KIND, "metadata": {"name": place}})
        cluster.await_account(place, "default")
    return DryRuns(cluster)


def different(objects: list[tuple[str, JsonObject]]) -> list[tuple[str, JsonObject]]:
    """Each once, by what it says, pods at the end; namespaces are there already."""
    unique = {json.dumps(body, sort_keys=True): (name, body) for name, body in objects if body["kind"] != _KIND}
    return sorted(unique.values(), key=lambda each: each[1]["kind"] == "Pod")


def bring_what_it_needs(cluster: RealCluster, pod: JsonObject) -> None:
    """A pod is not taken without its service account and its priority class."""
    place = pod["metadata"]["namespace"]
    if (name := pod["spec"].get("serviceAccountName", "default")) != "default":
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        cluster.put(f"/api/v1/namespaces/{place}/serviceaccounts", account)
    if priority := pod["spec"].get("priorityClassName"):
        group = "scheduling.k8s.io/v1"
        document = {"apiVersion": group, "kind": "PriorityClass", "metadata": {"name": priority}, "value": 1}
        cluster.put(f"/apis/{group}/priorityclasses", document)


def test_every_object_of_every_set_is_taken_without_a_warning(cluster: RealCluster, dry_runs: DryRuns) -> None:
    wrong, unknown = [], set()
    asked = different([(name, body) for name in SETS for body in rendered(name).objects])
    for name, body in asked:
        if body["kind"] == "Pod":
            bring_what_it_needs(cluster, body)
        done = dry_runs.run(body)
        wrong += [f"{name}: {label(body)}: {problem}" for problem in done.problems if problem not in _LATER]
        if not done.is_known:
            unknown.add((body["apiVersion"], body["kind"]))
            assert is_custom(body), f"{label(body)} is of {body['apiVersion']}, which this cluster does not have"
    assert wrong == []
    # Operators bring these: they are held against their schemas in tests/unit/deploy/sets.
    assert {kind for _, kind in unknown} >= {"Cluster", "RabbitmqCluster", "Certificate", "Issuer", "PrometheusRule"}
    assert len(asked) > 300


def test_what_earlier_releases_made_was_taken_too(dry_runs: DryRuns) -> None:
    """So that an upgrade begins with what there can be."""
    made = [(name, body) for release in releases() for name, objects in earlier(release).items() for body in objects]
    wrong = [
        f"{name}: {label(body)}: {problem}" for name, body in different(made) for problem in dry_runs.run(body).problems
    ]
    assert wrong == []


def test_an_object_that_is_there_already_is_checked_all_the_same(cluster: RealCluster, dry_runs: DryRuns) -> None:
    group = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = {"apiVersion": group, "kind": "ClusterRole", "metadata": {"name": "there-already"}, "rules": rules}
    cluster.put(f"/apis/{group}/clusterroles", role)
    assert dry_runs.run(role).problems == ()
    (problem,) = dry_runs.run({**role, "rules": [{**rules[0], "verbs": []}]}).problems
    assert problem.startswith("422: ")
