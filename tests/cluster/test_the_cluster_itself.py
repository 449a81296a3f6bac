"""What the other tests rely on: a cluster as users have it, with its rights, controllers and ways to trust."""

import pytest

from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.kubectl import KubectlChoice, manifest
from tests.support.waiting import wait_for

CHOICES: tuple[KubectlChoice, ...] = ("any", "debian")
_TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


@pytest.mark.parametrize("choice", CHOICES)
def test_both_kubectls_reach_it(cluster: RealCluster, choice: KubectlChoice) -> None:
    assert "kube-system" in cluster.kubectl(choice).ok("get", "namespaces")


def test_a_user_may_do_nothing_until_a_role_is_bound(cluster: RealCluster, namespace: str) -> None:
    kubectl = cluster.kubectl(kubeconfig=cluster.user("jane", "devs", namespace=namespace))
    assert "pods is forbidden" in kubectl.run("get", "pods").err
    cluster.grant("view", to="devs", kind="Group", namespace=namespace)
    assert kubectl.run("get", "pods").code == 0
    assert "secrets is forbidden" in kubectl.run("get", "secrets").err


def test_a_service_account_is_known_by_its_token(cluster: RealCluster, namespace: str) -> None:
    account = cluster.service_account(namespace, "robot")
    status, body = cluster.api(account).read(f"/api/v1/namespaces/{namespace}/secrets")
    assert (status, body["message"].split(" cannot ")[0]) == (
        403,
        f'secrets is forbidden: User "system:serviceaccount:{namespace}:robot"',
    )
    cluster.grant("edit", to=f"system:serviceaccount:{namespace}:robot", namespace=namespace)
    assert cluster.api(account).read(f"/api/v1/namespaces/{namespace}/secrets")[0] == 200


def test_what_lost_its_owner_is_collected(cluster: RealCluster, namespace: str) -> None:
    api = cluster.api()
    configs = f"/api/v1/namespaces/{namespace}/configmaps"
    _, owner = api.send("POST", configs, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "owned", "ownerReferences": [reference]}}
    assert api.send("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)[0] == 201
    assert api.send("DELETE", f"{configs}/owner")[0] == 200
    api.await_gone("secrets", "owned", namespace=namespace)


def test_a_namespace_goes_with_all_that_is_in_it(cluster: RealCluster, namespace: str) -> None:
    cluster.kubectl().ok("create", "secret", "generic", "inside", "--namespace", namespace)
    cluster.kubectl().ok("delete", "namespace", namespace, "--wait=false")
    cluster.api().await_gone("namespaces", namespace)


def test_custom_resources_can_be_applied_and_read(cluster: RealCluster, namespace: str) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    kubectl = cluster.kubectl()
    kubectl.create(definition)
    try:
        kubectl.ok("wait", "--for=condition=Established", "--timeout=30s", "crd/widgets.example.com")
        widget = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "one", "namespace": namespace},
            "spec": {"parts": [{"name": "a", "size": 1}]},
        }
        wait_for(
            lambda: kubectl.run("apply", "--server-side", "-f", "-", stdin=manifest(widget)),
            lambda printed: printed.code == 0,
            what="the new kind to be served",
        )
        assert kubectl.json("widget", "one", "-n", namespace)["spec"] == widget["spec"]
    finally:
        kubectl.ok("delete", "crd", "widgets.example.com")


def test_it_comes_back_after_a_kill_with_all_that_it_had(cluster: RealCluster, namespace: str) -> None:
    cluster.kubectl().ok("create", "secret", "generic", "kept", "--from-literal=a=b", "--namespace", namespace)
    cluster.kill_apiserver()
    assert cluster.api().read("/readyz")[0] == 0
    cluster.start_apiserver()
    assert cluster.secret(namespace, "kept") == {"a": "b"}


def test_it_publishes_both_front_proxy_authorities_after_a_rotation(cluster: RealCluster) -> None:
    before = cluster.api().read(_TRUST)[1]["data"]["requestheader-client-ca-file"]
    cluster.rotate_front_proxy()
    after = cluster.api().read(_TRUST)[1]["data"]["requestheader-client-ca-file"]
    assert before.strip() in after
    assert after.count("BEGIN CERTIFICATE") == before.count("BEGIN CERTIFICATE") + 1


def test_it_is_reached_by_the_same_kubeconfigs_when_its_own_and_its_users_authority_are_others(
    cluster: RealCluster,
) -> None:
    cluster.rotate_serving(trust_old=False)
    cluster.rotate_clients(trust_old=False)
    assert cluster.kubectl().run("get", "namespaces").code == 0
