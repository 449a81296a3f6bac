"""Who may do what is decided by the cluster's own roles, wherever the request comes from."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.conformance.scripted.scripted_templates import PROVISION
from tests.e2e.stacks.brokers import DemoBroker, scripted_peer
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice
from tests.e2e.stacks.manifests import binding, cluster_broker, instance
from tests.support.waiting import wait_for

CHOICES: tuple[KubectlChoice, ...] = ("any", "debian")
_CATALOG = "/apis/servicecatalog.k8s.io/v1beta1"
_ORIGIN = "X-Broker-API-Originating-Identity"


@dataclass
class Members:
    """Users of one namespace, each with the role of their name there."""

    cluster: RealCluster
    namespace: str
    kubeconfigs: dict[str, Path]

    def kubectl(self, role: str, choice: KubectlChoice = "any") -> Kubectl:
        return self.cluster.kubectl(choice, kubeconfig=self.kubeconfigs[role])


@pytest.fixture(scope="module")
def members(cluster: RealCluster, chandlery: InstalledChandlery, shop: DemoBroker) -> Members:
    namespace = cluster.new_namespace("team")
    kubeconfigs = {}
    for role in ("view", "edit", "admin", "none"):
        kubeconfigs[role] = cluster.user(f"{role}er", f"{role}ers", namespace=namespace)
        if role != "none":
            cluster.grant(role, to=f"{role}ers", kind="Group", namespace=namespace)
    for role, verb, resource in (
        ("view", "list", "serviceinstances"),
        ("edit", "create", "serviceinstances"),
        ("admin", "create", "servicebrokers"),
    ):
        cluster.await_allowed(
            user=f"{role}er", groups=[f"{role}ers"], verb=verb, resource=resource, namespace=namespace
        )
    return Members(cluster, namespace, kubeconfigs)


@pytest.fixture(scope="module")
def ordered(members: Members, chandlery: InstalledChandlery) -> str:
    """An instance with a binding, ordered by the editor."""
    kubectl = members.kubectl("edit")
    kubectl.create(instance("ordered"), binding("ordered", "ordered"))
    chandlery.api.await_ready("servicebindings", "ordered", namespace=members.namespace)
    return "ordered"


@pytest.mark.parametrize("choice", CHOICES)
def test_who_has_no_role_sees_nothing(members: Members, ordered: str, choice: KubectlChoice) -> None:
    printed = members.kubectl("none", choice).run("get", "serviceinstances")
    assert printed.code == 1
    space = members.namespace
    assert printed.err == (
        'Error from server (Forbidden): serviceinstances.servicecatalog.k8s.io is forbidden: User "noneer" cannot '
        f'list resource "serviceinstances" in API group "servicecatalog.k8s.io" in the namespace "{space}"\n'
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_view_reads_all_but_the_credentials(members: Members, ordered: str, choice: KubectlChoice) -> None:
    kubectl = members.kubectl("view", choice)
    assert "Ready" in kubectl.ok("get", "serviceinstance", ordered)
    assert "Ready" in kubectl.ok("get", "servicebindings")
    assert "is forbidden" in kubectl.run("get", "secret", ordered).err


@pytest.mark.parametrize("words", [("delete", "serviceinstance"), ("label", "servicebinding")], ids=lambda it: it[0])
def test_view_changes_nothing(members: Members, ordered: str, words: tuple[str, str]) -> None:
    verb, kind = words
    printed = members.kubectl("view").run(verb, kind, ordered, *(["a=b"] if verb == "label" else []))
    assert printed.code == 1 and "is forbidden" in printed.err


def test_edit_orders_and_reads_the_clusters_secret(members: Members, ordered: str, cluster: RealCluster) -> None:
    secret = members.kubectl("edit").json("secret", ordered)
    assert base64.b64decode(secret["data"]["username"]) == b"abc"


def test_edit_registers_no_broker_and_writes_no_status(members: Members, ordered: str) -> None:
    kubectl = members.kubectl("edit")
    broker = {**cluster_broker("mine", "http://127.0.0.1:9"), "kind": "ServiceBroker"}
    printed = kubectl.run("create", "-f", "-", stdin=json.dumps(broker))
    assert 'cannot create resource "servicebrokers"' in printed.err
    path = f"{_CATALOG}/namespaces/{members.namespace}/serviceinstances/{ordered}/status"
    answer = members.cluster.api(members.kubeconfigs["edit"]).call(
        "PATCH", path, {"status": {}}, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert answer.status == 403


def test_an_id_of_ones_own_choice_is_a_right_of_its_own(members: Members, cluster: RealCluster) -> None:
    # kube-apiserver knows nothing of this verb: the gateway asks the cluster for it.
    document = instance("adopted", externalID="9a411f4c-01fa-4996-a780-a0d1b8dcb235")
    kubectl = members.kubectl("edit")
    refused = kubectl.run("create", "-f", "-", stdin=json.dumps(document))
    assert refused.code == 1 and "adopt" in refused.err
    cluster.put(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{members.namespace}/roles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "adopters"},
            "rules": [{"apiGroups": ["servicecatalog.k8s.io"], "resources": ["serviceinstances"], "verbs": ["adopt"]}],
        },
    )
    cluster.grant("adopters", to="editer", namespace=members.namespace, role_kind="Role")
    cluster.await_allowed(user="editer", verb="adopt", resource="serviceinstances", namespace=members.namespace)
    kubectl.create(document)


def test_parameters_from_a_secret_are_for_who_may_read_it(members: Members, cluster: RealCluster) -> None:
    # Of Secrets the role that orders says nothing.
    cluster.put(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{members.namespace}/roles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "orders"},
            "rules": [{"apiGroups": ["servicecatalog.k8s.io"], "resources": ["serviceinstances"], "verbs": ["create"]}],
        },
    )
    cluster.grant("orders", to="orderer", namespace=members.namespace, role_kind="Role")
    cluster.await_allowed(user="orderer", verb="create", resource="serviceinstances", namespace=members.namespace)
    source = {"secretKeyRef": {"name": "words", "key": "json"}}
    document = json.dumps(instance("worded", parametersFrom=[source]))
    kubectl = cluster.kubectl(kubeconfig=cluster.user("orderer", namespace=members.namespace))
    refused = kubectl.run("create", "--validate=false", "-f", "-", stdin=document)
    assert refused.code == 1
    assert f'User "orderer" may not read the Secret "{members.namespace}/words"' in refused.err
    kubectl.create(instance("wordless"))
    members.kubectl("edit").create(json.loads(document))


@pytest.mark.parametrize("choice", CHOICES)
def test_can_i_says_what_is_so(members: Members, choice: KubectlChoice) -> None:
    asked = {
        role: members.kubectl(role, choice).run("auth", "can-i", "create", "serviceinstances").out.strip()
        for role in ("view", "edit", "none")
    }
    assert asked == {"view": "no", "edit": "yes", "none": "no"}


def test_the_user_of_the_cluster_is_who_the_broker_is_told_of(members: Members, chandlery: InstalledChandlery) -> None:
    with scripted_peer() as peer:
        chandlery.kubectl().create(cluster_broker("asked", peer.url))
        chandlery.api.await_ready("clusterservicebrokers", "asked")
        members.kubectl("edit").create(instance("told", "test-service"))
        seen = peer.wait_for(PROVISION)[0]
        platform, _, value = seen.headers[_ORIGIN].partition(" ")
        told = json.loads(base64.b64decode(value))
        assert (platform, told["username"], told["groups"]) == (
            "kubernetes",
            "editer",
            ["editers", "system:authenticated"],
        )


def test_watch_ends_when_its_right_is_withdrawn_and_tells_nothing_after(
    members: Members, ordered: str, cluster: RealCluster
) -> None:
    kubeconfig = cluster.user("guest", namespace=members.namespace)
    binding_path = cluster.grant("view", to="guest", namespace=members.namespace)
    cluster.await_allowed(user="guest", verb="watch", resource="serviceinstances", namespace=members.namespace)
    with cluster.api(kubeconfig).watch("serviceinstances", namespace=members.namespace) as seen:
        wait_for(lambda: ordered in [each["metadata"].get("name") for each in seen], what="what there is")
        cluster.api().send("DELETE", binding_path)
        [told] = wait_for(lambda: [each for each in seen if each["kind"] == "Status"], what="the end of the watch")
        assert (told["code"], told["reason"]) == (403, "Forbidden")
        assert 'User "guest" cannot watch resource "serviceinstances"' in told["message"]
        assert seen[-1] == told
