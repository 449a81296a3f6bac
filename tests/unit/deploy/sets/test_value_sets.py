"""Every set of values: its objects are valid in all versions of Kubernetes, keep the rules, and find one another."""

import json
import re
from typing import Any

import pytest
from packaging.version import Version

from tests.unit.deploy.sets.kubernetes_schemas import is_custom, problems, versions
from tests.unit.deploy.sets.object_references import (
    given_texts,
    made_secrets,
    missing_references,
    secret_references,
    too_early_references,
)
from tests.unit.deploy.sets.pod_policies import violations
from tests.unit.deploy.sets.value_sets import NAMESPACE, SETS, Body, label, oldest_version, pod_of, rendered, values_of

_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
every_set = pytest.mark.parametrize("name", SETS)


def _different() -> dict[str, tuple[str, Body]]:
    """Each object once, by what it says, with a set that it is of."""
    return {json.dumps(body, sort_keys=True): (name, body) for name in SETS for body in rendered(name).objects}


def test_there_are_sets_for_what_the_chart_can_do() -> None:
    assert len(SETS) >= 25
    made = {(body["apiVersion"], body["kind"]) for name in SETS for body in rendered(name).objects}
    assert {("postgresql.cnpg.io/v1", "Cluster"), ("rabbitmq.com/v1beta1", "RabbitmqCluster")} <= made
    assert {("apps/v1", "StatefulSet"), ("cert-manager.io/v1", "Certificate")} <= made
    assert {("apiregistration.k8s.io/v1", "APIService"), ("monitoring.coreos.com/v1", "PrometheusRule")} <= made


@pytest.mark.parametrize("version", versions())
def test_every_object_is_valid_in_this_version_of_kubernetes(version: str) -> None:
    wrong = [
        f"{name}: {label(body)}: {problem}"
        for name, body in _different().values()
        if Version(version) >= Version(oldest_version(name) or version)
        for problem in problems(body, version)
    ]
    assert wrong == []


def test_versions_reach_from_the_oldest_to_the_newest_that_has_schemas() -> None:
    assert versions()[0] == "1.29"
    assert len(versions()) >= 9


def test_a_wrong_object_is_seen() -> None:
    [statefulset, *_] = rendered("trial").of("StatefulSet")
    changes: tuple[tuple[str, Any], ...] = (
        ("spec.replica", 1),
        ("spec.replicas", "1"),
        ("spec.template.spec.containers", None),
    )
    for path, value in changes:
        assert problems(_put(statefulset, path, value), versions()[-1]), path
    [cluster] = rendered("operators").of("Cluster")
    changes = (("spec.storage.sise", "1Gi"), ("spec.instances", 0), ("spec.resources.limit", {}))
    for path, value in changes:
        assert problems(_put(cluster, path, value), versions()[-1]), path
    assert "has no Unknown" in problems({"apiVersion": "example.com/v1", "kind": "Unknown"}, "1.29")[0]
    assert is_custom(cluster)
    assert not is_custom(statefulset)


def _put(body: Body, path: str, value: Any) -> Body:
    changed: Body = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    place[last] = value
    return changed


@every_set
def test_every_pod_keeps_the_rules(name: str) -> None:
    wrong = [
        f"{label(body)} {problem}"
        for body in rendered(name).objects
        for pod in [pod_of(body)]
        if pod
        for problem in violations(pod, maker=body["kind"])
    ]
    # OpenShift brings uids by itself: runAsNonRoot holds.
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("securityContext.runAsNonRoot", False, "may run as root"),
        ("securityContext.seccompProfile", {}, "no seccomp profile"),
        ("hostNetwork", True, "has hostNetwork"),
        ("automountServiceAccountToken", True, "token"),
        ("volumes", [{"name": "host", "hostPath": {"path": "/"}}], "a volume of hostPath"),
        ("volumes", [{"name": "tmp", "emptyDir": {}}], "may fill the node's disk"),
        ("containers", [{"name": "a", "image": "postgres:latest"}], "not named exactly"),
        ("containers", [{"name": "a", "image": "foo/bar:1:2"}], "not named exactly"),
        ("containers", [{"name": "a", "image": "foo/bar:1"}], "may write into its image"),
    ],
)
def test_a_pod_that_breaks_a_rule_is_seen(path: str, value: Any, told: str) -> None:
    [statefulset, *_] = rendered("trial").of("StatefulSet")
    pod = pod_of(statefulset)
    assert pod is not None
    assert not list(violations(pod, maker="StatefulSet"))
    assert told in "; ".join(violations(_put(pod, f"spec.{path}", value), maker="StatefulSet"))


@every_set
@pytest.mark.parametrize("is_upgrade", [False, True], ids=["install", "upgrade"])
def test_everything_that_pods_need_is_there_in_time(name: str, *, is_upgrade: bool) -> None:
    objects, given = rendered(name, is_upgrade=is_upgrade).objects, given_texts(values_of(name))
    assert list(missing_references(objects, given)) == []
    assert list(too_early_references(objects, given)) == []


@every_set
def test_names_and_labels_are_ones_that_kubernetes_takes(name: str) -> None:
    seen = set()
    for body in rendered(name).objects:
        metadata = body["metadata"]
        key = (body["kind"], metadata.get("namespace"), metadata["name"])
        assert key not in seen, f"two objects are {label(body)}"
        seen.add(key)
        if body["kind"] in ("Service", "Deployment", "StatefulSet", "Job", "Pod", "Namespace"):
            # Of a StatefulSet's pods a label has a hash besides.
            longest = 52 if body["kind"] == "StatefulSet" else 63
            assert _DNS_NAME.fullmatch(metadata["name"]), label(body)
            assert len(metadata["name"]) <= longest, label(body)
        for value in metadata["labels"].values():
            assert _LABEL.fullmatch(value), label(body)


@every_set
def test_every_selector_finds_the_pods_of_one_workload(name: str) -> None:
    objects = rendered(name).objects
    labels = {label(body): pod["metadata"]["labels"] for body in objects for pod in [pod_of(body)] if pod}
    operated = {body["metadata"]["name"] for body in objects if body["kind"] == "RabbitmqCluster"}
    for body in objects:
        selector = _selector_of(body)
        if not selector or selector.get("app.kubernetes.io/name") in operated:
            continue
        found = [who for who, own in labels.items() if selector.items() <= own.items()]
        assert len(found) == 1, f"{label(body)} selects {found}"
        if body["kind"] == "Service":
            _check_ports(body, objects, found[0])


def _selector_of(body: Body) -> dict[str, str]:
    """The labels of the pods that it is about; empty for what is about none."""
    found: Body = body.get("spec", {}).get("selector") or {}
    if body["kind"] == "Service":
        return found
    return found["matchLabels"] if body["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget") else {}


def _check_ports(service: Body, objects: tuple[Body, ...], workload: str) -> None:
    [pod] = [pod for body in objects if label(body) == workload for pod in [pod_of(body)] if pod]
    named = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


@every_set
def test_keys_stay_when_the_release_goes(name: str) -> None:
    """Nobody could read what is in the database without them."""
    objects = rendered(name).objects
    made = made_secrets(objects)
    used = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for body in rendered(name).of("Deployment")
        for variable in body["spec"]["template"]["spec"]["containers"][0]["env"]
        if variable["name"] == "CHANDLERY_ENCRYPTION_KEYS"
    }
    assert len(used) == 1
    for body in rendered(name).of("Secret"):
        if body["metadata"]["name"] in used:
            assert body["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
            assert list(body["data"]) == ["encryption-keys"]
            assert f"Secret {body['metadata']['name']}" in rendered(name).notes
    assert used <= made.keys() | given_texts(values_of(name))


@every_set
def test_no_pod_of_ours_mounts_the_key_of_a_server(name: str) -> None:
    servers = {body["spec"]["secretName"] for body in rendered(name).of("Certificate")}
    servers |= {f"{body['metadata']['name']}-ca" for body in rendered(name).of("Cluster")}
    for body in rendered(name).of("Deployment", "Job"):
        pod = pod_of(body)
        assert pod is not None
        mine = body["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"
        read = {secret: key for secret, key in secret_references(pod) if secret in servers}
        own = ("-serving", "-gateway-tls") if mine else ()
        assert all(key == "ca.crt" for secret, key in read.items() if not secret.endswith(own)), label(body)


@every_set
def test_everything_is_in_the_namespace_of_the_release_or_of_the_cluster(name: str) -> None:
    for body in rendered(name).objects:
        if values_of(name).get("platform") != "kubernetes":
            assert body["metadata"]["namespace"] == NAMESPACE, label(body)
        assert body["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo", label(body)
