"""Moving in from a living Service Catalog v0.3, whose objects are custom resources: the page's commands, as they stand.

One option is left out, for this kube-apiserver takes APIServices by no server-side apply.
"""

import asyncio
import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import helm_python
import pytest

from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.imports.sources import cluster_dump
from chandlery.store.sealing.sealing import new_key
from kubernetes_build.cluster_cache import find_programs
from tests.cluster.stage.chart_installation import RELEASE, ChartInstallation, chart_values
from tests.cluster.stage.installation_manifests import NAMESPACE, service
from tests.cluster.stage.old_definitions import DEFINITIONS, HOME, OTHER_WEBHOOK, WEBHOOKS, OldCatalog
from tests.cluster.stage.page_steps import Typing, page_text, step_of
from tests.cluster.stage.real_cluster import RealCluster, real_cluster
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.e2e.stacks.api_client import conditions
from tests.e2e.stacks.brokers import ScriptedPeer, scripted_peer
from tests.e2e.stacks.kubectl import kubectl_path
from tests.e2e.stacks.programs import CHANDLERY, clean_environment
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import running
from tests.support.dumps import old_catalog as old
from tests.support.waiting import wait_for
from tests.unit.deploy.conftest import CHART

PAGE: Final = "moving-from-service-catalog.md"
HEADING: Final = "Into a cluster's API"
CHANGING: Final = (osb.PROVISION, osb.UPDATE, osb.DEPROVISION, osb.BIND, osb.UNBIND)
NS: Final = old.NS
LOGINS: Final = "logins"
CLUSTER_ID: Final = "7f1f4d1c-old-cluster"
API_SERVICE: Final = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.servicecatalog.k8s.io"
_AUTOMATIC: Final = "kube-aggregator.kubernetes.io/automanaged"
_SECRETS: Final = f"/api/v1/namespaces/{NS}/secrets"
_AT_THE_SERVER: Final = " --server-side --field-manager helm --force-conflicts"
_INSTALL: Final = "helm install"

# A cluster of its own is made for it, too.
pytestmark = pytest.mark.timeout(600)


class MovedChandlery(ChartInstallation):
    """Started by the page: the cluster's controllers go on as they are, with what they follow."""

    def start(self, *names: str) -> None:
        super().start(*(names or self.programs))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One of its own: definitions of the group would be in the others' way."""
    with real_cluster(tmp_path_factory.mktemp("cluster"), find_programs()) as started:
        yield started


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """The broker that Service Catalog has called until now."""
    catalog = simple_catalog(simple_service("db", plans=["small", "large"], instances_retrievable=True))
    with scripted_peer(catalog, basic=("admin", "pass")) as made:
        for template in (osb.UNBIND, osb.DEPROVISION):
            made.always(template, Reply(200, {}))
        made.always(osb.POLL_INSTANCE, Reply(200, {"state": "succeeded"}))
        made.always(osb.FETCH_INSTANCE, Reply(200, {"service_id": old.CLASS, "plan_id": old.SMALL}))
        yield made


@pytest.fixture
def catalog(cluster: RealCluster, peer: ScriptedPeer) -> OldCatalog:
    """A living one: what is ready, what has failed, what is under way, and what is being deleted."""
    made = OldCatalog(cluster)
    made.define()
    for name in (NS, LOGINS):
        cluster.put("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Another test's, which is nobody's by now.
    cluster.api().send("DELETE", f"/api/v1/namespaces/{LOGINS}/secrets/broker-login")
    made.put(old.secret("broker-login", namespace=LOGINS, username="admin", password="pass"))
    login = {"basic": {"secretRef": {"namespace": LOGINS, "name": "broker-login"}}}
    going = [old.instance("going", old.provisioned()), old.binding("going-login", "going", old.bound())]
    for document in (
        *old.offered(peer.url, authInfo=login),
        old.instance("orders", old.provisioned({"size": 3}), parameters={"size": 3}),
        old.binding("login", "orders", old.bound()),
        old.secret("login", of="login", password="p"),
        old.instance("refused", old.refused()),
        old.instance("late", old.provisioning()),
        *going,
        old.secret("going-login", of="going-login", password="q"),
    ):
        made.put(document)
    for document in going:
        made.delete(document)
    information = {"metadata": {"name": "cluster-info"}, "data": {"id": CLUSTER_ID}}
    cluster.put("/api/v1/namespaces/default/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", **information})
    made.guard()
    # The garbage collector learns of the kinds, and follows their objects from here on.
    cluster.restart_controllers()
    return made


class Move:
    """One walk down the page."""

    def __init__(self, folder: Path, share: ServerShare, cluster: RealCluster) -> None:
        secrets = {"namespaces": [NS], "brokerNamespaces": [LOGINS]}
        values = chart_values(kubernetes={"secrets": secrets})
        self.cluster = cluster
        (folder / "chandlery").mkdir()
        self.chandlery = MovedChandlery(folder / "chandlery", share, cluster, values=values)
        settings = {"CHANDLERY_CLUSTER_ID": CLUSTER_ID, "CHANDLERY_BROKER_HTTP_CREDENTIALS": "true"}
        for program in self.chandlery.programs.values():
            program.set(**settings)
        environment = {**self.chandlery.environment, **settings, "CHANDLERY_KUBECONFIG": str(cluster.admin)}
        self.typing = Typing(folder / "typing", cluster.admin, kubectl_path("any"), environment)
        (self.typing.folder / "deploy").symlink_to(CHART.parents[1])

    def step(self, number: int) -> str:
        """Type a step; answers what was printed."""
        return self.typing.type(step_of(PAGE, HEADING, number))

    def until_import(self) -> list[dict[str, Any]]:
        """Steps 1 to 4, after which all that Service Catalog has is known here; answers what was told of each."""
        with pytest.raises(AssertionError, match="webhook"):
            self.typing.type(f"kubectl annotate serviceinstance orders -n {NS} tried=yes")
        self.step(1)
        scaled = self.cluster.api().read(f"/apis/apps/v1/namespaces/{HOME}/deployments")[1]["items"]
        assert [each["spec"]["replicas"] for each in scaled] == [0]
        self.step(2)
        from_dump = self.looked_at("dump.yaml cluster-info.yaml")
        assert from_dump == self.looked_at("--from-cluster")
        self.look_from_beside()
        text = step_of(PAGE, HEADING, 3)
        export, *rest = text.splitlines()
        assert set(re.findall(r"CHANDLERY_\w+", export)) <= set(self.typing.environment)
        printed = self.typing.type("\n".join(rest))
        assert re.search(r"^serviceinstances +ns +going +create +held ", printed, re.MULTILINE), printed
        self.step(4)
        return from_dump

    def look_from_beside(self) -> None:
        """Into a database of its own, with the Secrets that are used and no others."""
        given = {
            "CHANDLERY_PLATFORM": "standalone",
            "CHANDLERY_DATABASE_URL": f"sqlite:///{self.typing.folder}/beside.db",
        }
        self.typing.type("chandlery migrate", **given)
        command = "chandlery import service-catalog --from-cluster --yes -o json"
        found = [json.loads(line) for line in self.typing.type(command, **given).splitlines()]
        assert {each["import"] for each in found} == {"create"}
        secrets = {(each["namespace"], each["name"]) for each in found if each["kind"] == "Secret"}
        assert secrets == {(LOGINS, "broker-login"), (NS, "login"), (NS, "going-login")}

    def looked_at(self, source: str) -> list[dict[str, Any]]:
        """What a dry run tells of each object."""
        self.typing.type("chandlery migrate")
        printed = self.typing.type(f"chandlery import service-catalog {source} -o json")
        found = [json.loads(line) for line in printed.splitlines()]
        return sorted(found, key=lambda each: (each["kind"], each["name"]))

    @contextmanager
    def switched_over(self) -> Iterator[None]:
        """Steps 5 and 6, up to the moment in which Helm starts the processes."""
        self.step(5)
        for kind in ("serviceinstances", "servicebindings", "clusterservicebrokers"):
            status, found = self.cluster.api().read(f"/apis/{old.API}/{kind}")
            assert status == 200
            assert [each["metadata"].get("finalizers") for each in found["items"]] == [None] * len(found["items"])
        self.chandlery.relay.open()
        with self.chandlery.relay:
            self.cluster.put(*service())
            text = step_of(PAGE, HEADING, 6).partition(_INSTALL)[0]
            assert _AT_THE_SERVER in text
            text = text.replace(_AT_THE_SERVER, "")
            self.render(text)
            self.typing.type(text)
            yield
            self.chandlery.unregister()

    def render(self, text: str) -> None:
        """What `helm template` prints, for gateways that are reached at another port."""
        (wanted,) = re.findall(r"--show-only (\S+)", text)
        given = self.chandlery.values
        port = {"service": {"port": self.chandlery.relay.port}}
        with helm_python.Chart.load(CHART) as chart:
            files = chart.render({**given, "gateway": {**given["gateway"], **port}}, name=RELEASE, namespace=NAMESPACE)
        (self.typing.folder / "rendered" / Path(wanted).name).write_text(files[f"{CHART.name}/{wanted}"])

    def rest_of_step_6(self) -> str:
        """What is typed after Helm has come back."""
        # kube-apiserver says that we are available a moment before it goes by that.
        path = f"/apis/{old.API}/serviceinstances"
        wait_for(lambda: self.cluster.api().read(path)[0], lambda status: status == 200, what=path)
        text = step_of(PAGE, HEADING, 6)
        return self.typing.type(text[text.index(_INSTALL) :])


def found_secret(cluster: RealCluster, name: str) -> tuple[int, Any]:
    return cluster.api().read(f"{_SECRETS}/{name}")


_A_BINDING: Final = {"apiVersion": old.API, "kind": "ServiceBinding"}
_A_CONFIG_MAP: Final = {"apiVersion": "v1", "kind": "ConfigMap"}


def await_garbage_collector(cluster: RealCluster, name: str, owned_by: Mapping[str, str] = _A_BINDING) -> None:
    """Let it take a Secret whose owner there has never been: whoever has no owner is gone after that.

    It leaves what is owned by a kind that nobody serves: while nobody serves bindings, the owner is of another kind.
    """
    owner = {**old.secret("x", of="nobody")["metadata"]["ownerReferences"][0], "blockOwnerDeletion": False, **owned_by}
    metadata = {"name": name, "ownerReferences": [owner]}
    cluster.put(_SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    wait_for(
        lambda: found_secret(cluster, name)[0],
        lambda status: status == 404,
        what=f"{name} to be collected",
        # It asks each half minute which kinds there are, and again if it could not watch all of them.
        seconds=180,
    )


def test_service_catalog_moves_in_by_the_commands_of_the_page(
    cluster: RealCluster, catalog: OldCatalog, peer: ScriptedPeer, tmp_path: Path
) -> None:
    secret = found_secret(cluster, "login")[1]
    with server_share() as share:
        move = Move(tmp_path, share, cluster)
        told = move.until_import()
        assert [each["metadata"]["name"] for each in cluster.api().read(WEBHOOKS)[1]["items"]] == [OTHER_WEBHOOK]
        assert {each["import"] for each in told} == {"create"}
        states = {(each["kind"], each["name"]): each["state"] for each in told if each["state"]}
        assert states == {
            ("ServiceInstance", "orders"): "at rest",
            ("ServiceInstance", "refused"): "at rest",
            ("ServiceInstance", "late"): "polled",
            ("ServiceInstance", "going"): "held",
            ("ServiceBinding", "login"): "at rest",
            ("ServiceBinding", "going-login"): "held",
        }
        assert {each["import"] for each in move.looked_at("--from-cluster")} == {"already there"}
        with running(move.chandlery, share, behind=move.switched_over()):
            printed = move.rest_of_step_6()
            assert re.search(r"^ns +serviceinstance\S*/orders .* Ready ", printed, re.MULTILINE), printed
            check_what_is_served(cluster, move.chandlery, catalog)
            assert [seen.template for seen in peer.seen() if seen.template in CHANGING] == []
            (poll, *_) = peer.seen_of(osb.POLL_INSTANCE)
            assert (poll.ids, poll.query["operation"]) == ({"instance_id": "id-of-late"}, "op-7")
            # Its watches of the old definitions still run.
            await_garbage_collector(cluster, "first")
            assert found_secret(cluster, "login")[1]["metadata"]["uid"] == secret["metadata"]["uid"]
            cluster.restart_controllers()
            move.step(7)
            assert cluster.api().read(DEFINITIONS)[1]["items"] == []
            await_garbage_collector(cluster, "second")
            check_what_is_served(cluster, move.chandlery, catalog)
            kept = found_secret(cluster, "login")[1]
            assert kept["metadata"]["uid"] == secret["metadata"]["uid"]
            assert kept["data"] == {"password": base64.b64encode(b"p").decode()}
            assert [seen.template for seen in peer.seen() if seen.template in CHANGING] == []
            check_what_comes_after(cluster, move, peer)
    asked = [line.split()[1] for line in move.typing.helm_was_asked()]
    assert asked == ["template", "install", "uninstall"]


def check_what_is_served(cluster: RealCluster, chandlery: ChartInstallation, catalog: OldCatalog) -> None:
    """All of it by the gateways, with the old ids."""
    api_service = cluster.api().read(API_SERVICE)[1]
    assert api_service["spec"]["service"]["name"] == "chandlery-gateway"
    assert _AUTOMATIC not in api_service["metadata"]["labels"]
    chandlery.api.await_ready("serviceinstances", "late", namespace=NS)
    chandlery.api.await_ready("clusterservicebrokers", old.BROKER)
    for name in ("orders", "refused", "going"):
        found = chandlery.api.find("serviceinstances", name, namespace=NS)
        assert found is not None
        assert found["metadata"]["uid"] == catalog.uids["ServiceInstance", name]
        assert found["metadata"]["finalizers"] == [old.FINALIZER]
        fields = [each["fieldsV1"].get("f:spec", {}) for each in found["metadata"]["managedFields"]]
        assert any("f:clusterServiceClassExternalName" in each for each in fields)
    refused = chandlery.api.find("serviceinstances", "refused", namespace=NS)
    assert refused is not None
    assert [each["type"] for each in conditions(refused) if each["status"] == "True"] == ["Failed"]
    chandlery.api.await_ready("servicebindings", "login", namespace=NS)


def check_what_comes_after(cluster: RealCluster, move: Move, peer: ScriptedPeer) -> None:
    """Unbinding and deprovisioning by kubectl, with the ids that the broker knows."""
    kubectl = cluster.kubectl()
    kubectl.ok("delete", "servicebinding", "login", "-n", NS)
    (unbind,) = peer.seen_of(osb.UNBIND)
    assert unbind.ids == {"instance_id": "id-of-orders", "binding_id": "id-of-login"}
    wait_for(lambda: found_secret(cluster, "login")[0], lambda status: status == 404, what="the Secret to go")
    kubectl.ok("delete", "serviceinstance", "orders", "-n", NS)
    (deprovision,) = peer.seen_of(osb.DEPROVISION)
    assert deprovision.ids == {"instance_id": "id-of-orders"}
    # What was being deleted is held until somebody asks for it, as the page has it.
    (retry,) = re.findall(r"^ {4}(kubectl annotate serviceinstance orders .*)$", page_text(PAGE), re.MULTILINE)
    for kind, name in (("servicebinding", "going-login"), ("serviceinstance", "going")):
        move.typing.type(retry.replace("serviceinstance orders -n shop", f"{kind} {name} -n {NS}"))
        move.chandlery.api.await_gone(f"{kind}s", name, namespace=NS)
    assert [seen.ids["instance_id"] for seen in peer.seen_of(osb.DEPROVISION)] == ["id-of-orders", "id-of-going"]


def imported_from(cluster: RealCluster, kubeconfig: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What `--from-cluster` says of the cluster to whoever the kubeconfig is for."""
    given = {"CHANDLERY_DATABASE_URL": f"sqlite:///{folder}/empty.db", "CHANDLERY_ENCRYPTION_KEYS": new_key("e2e")}
    command = [CHANDLERY, "import", "service-catalog", "--from-cluster", "--kubeconfig", str(kubeconfig)]
    return subprocess.run(
        command, env=clean_environment(**given), capture_output=True, text=True, timeout=60, check=False
    )


def test_what_cannot_be_read_from_a_cluster_is_told(
    cluster: RealCluster, peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing = imported_from(cluster, cluster.admin, tmp_path)
    assert nothing.returncode == 2, nothing.stderr
    assert "serves nothing of Service Catalog" in nothing.stderr
    made = OldCatalog(cluster)
    made.define()
    try:
        # More than fit into a page.
        for document in old.offered(peer.url):
            made.put(document)
        refused = imported_from(cluster, cluster.user("jane"), tmp_path)
        assert "has to list clusterservicebrokers.servicecatalog.k8s.io of all namespaces" in refused.stderr
        assert refused.returncode == 1, refused.stderr
        monkeypatch.setattr(cluster_dump, "_PAGE", "1")
        found = asyncio.run(read_all(cluster))
        assert {("ClusterServicePlan", old.SMALL), ("ClusterServicePlan", old.LARGE)} <= set(found)
        assert len(found) == len(set(found))
    finally:
        made.remove()


async def read_all(cluster: RealCluster) -> list[tuple[str, str]]:
    """Kinds and names, as they come."""
    client = ClusterClient(read_kubeconfig(cluster.admin))
    try:
        return [(each["kind"], each["metadata"]["name"]) async for each in cluster_dump.read_cluster(client)]
    finally:
        await client.close()


def test_secrets_outlive_the_old_objects_for_who_moves_beside_the_cluster(
    cluster: RealCluster, catalog: OldCatalog, tmp_path: Path
) -> None:
    typing = Typing(tmp_path, cluster.admin, kubectl_path("any"), {})
    typing.type(step_of(PAGE, HEADING, 1))
    typing.type(step_of(PAGE, "Beside the cluster", 5))
    typing.type(step_of(PAGE, HEADING, 5))
    catalog.remove()
    await_garbage_collector(cluster, "third", _A_CONFIG_MAP)
    for name in ("login", "going-login"):
        status, found = found_secret(cluster, name)
        assert (status, found["metadata"].get("ownerReferences")) == (200, None)
        cluster.kubectl().ok("delete", "secret", name, "-n", NS)


def test_the_definitions_are_served_again_when_chandlery_goes(cluster: RealCluster, peer: ScriptedPeer) -> None:
    made = OldCatalog(cluster)
    made.define()
    made.put(old.broker(peer.url))
    kubectl = cluster.kubectl()
    wait_for(lambda: automatic_label(cluster), lambda seen: seen == "true", what="the APIService of the definitions")
    kubectl.ok("label", "apiservice", "v1beta1.servicecatalog.k8s.io", f"{_AUTOMATIC}-")
    elsewhere = {"spec": {"service": {"namespace": NAMESPACE, "name": "nowhere"}, "insecureSkipTLSVerify": True}}
    patch = ("patch", "apiservice", "v1beta1.servicecatalog.k8s.io", "--type=merge", "-p", json.dumps(elsewhere))
    kubectl.ok(*patch)
    brokers = f"/apis/{old.API}/clusterservicebrokers"
    wait_for(lambda: cluster.api().read(brokers)[0], lambda status: status == 503, what="the old kinds to be gone")
    kubectl.ok("delete", "apiservice", "v1beta1.servicecatalog.k8s.io")
    wait_for(lambda: cluster.api().read(brokers)[0], lambda status: status == 200, what="the old kinds to be back")
    assert automatic_label(cluster) == "true"
    made.remove()


def automatic_label(cluster: RealCluster) -> str | None:
    """Whether kube-apiserver keeps the APIService by itself."""
    found = cluster.api().read(API_SERVICE)[1]
    label: str | None = found["metadata"].get("labels", {}).get(_AUTOMATIC)
    return label
