"""The chart's objects in a real cluster: made without a warning, enough for all that is done, and no right more."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubernetes_build.cluster_cache import find_programs
from tests.cluster.sets.manifest_dry_runs import missing
from tests.cluster.stage.chart_installation import ChartInstallation, chart_installation, chart_values
from tests.cluster.stage.installation_manifests import NAMESPACE
from tests.cluster.stage.real_cluster import RealCluster, real_cluster
from tests.e2e.stacks.api_client import condition
from tests.e2e.stacks.article_walk import Walk
from tests.e2e.stacks.brokers import DemoBroker
from tests.e2e.stacks.manifests import binding, cluster_broker, copy_examples, instance
from tests.e2e.stacks.programs import REPOSITORY, free_port
from tests.support.waiting import wait_for

OPTED_IN = "default"
_API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.servicecatalog.k8s.io"

# A cluster of its own is made for it, too.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One of its own: other installations have left rights in the others'."""
    with real_cluster(tmp_path_factory.mktemp("cluster"), find_programs()) as started:
        yield started


@pytest.fixture(scope="module")
def chandlery(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChartInstallation]:
    """Installed by the chart, with one namespace that takes part."""
    values = chart_values(kubernetes={"secrets": {"namespaces": [OPTED_IN]}})
    with chart_installation(tmp_path_factory.mktemp("chandlery"), cluster, values=values) as stack:
        yield stack


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoBroker]:
    with DemoBroker(tmp_path_factory.mktemp("broker")) as started:
        yield started


def test_all_objects_are_made_without_a_warning(cluster: RealCluster, chandlery: ChartInstallation) -> None:
    made = chandlery.objects()
    assert {kind for kind, _ in made} == {
        *("APIService", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Role", "RoleBinding"),
        *("Secret", "Service", "ServiceAccount"),
    }
    # Those of all kinds have been made by `apply`, which takes no warning and no field that the cluster does not know.
    assert len(chandlery.printed.splitlines()) == len(made)
    assert all(line.endswith(" created") for line in chandlery.printed.splitlines()), chandlery.printed
    for (kind, _), body in made.items():
        if kind != "Service":
            place = body["metadata"].get("namespace", "default")
            name = body["metadata"]["name"]
            found = json.loads(cluster.kubectl().ok("get", kind, name, "--namespace", place, "--output", "json"))
            assert missing(body, found) == [], (kind, name)


def test_the_page_for_the_start_prints_what_it_says(chandlery: ChartInstallation) -> None:
    section = (
        (REPOSITORY / "docs/start.md").read_text().partition("## In a Kubernetes cluster")[2].partition("\n## ")[0]
    )
    commands = re.findall(r"^\$ (\S+) (.*)\n((?:[^$`].*\n)*)", section, re.MULTILINE)
    assert [program for program, _, _ in commands] == ["kubectl", "helm", "kubectl", "kubectl"]
    _, create, created = commands[0]
    assert (create, created) == ("create namespace shop", chandlery.kubectl().ok(*create.split()))
    for program, words, expected in commands[1:]:
        if program == "kubectl":
            # A machine that is busy may take it for away for a moment, between the two.
            wait_for(
                lambda words=words: chandlery.kubectl().run(*words.split()),  # type: ignore[misc]
                lambda seen, expected=expected: (seen.code, seen.out + seen.err) == (0, expected),  # type: ignore[misc]
                what=f"kubectl {words} to print what the page says",
            )


def test_the_article_works_with_the_rights_that_the_chart_gives(
    chandlery: ChartInstallation, broker: DemoBroker, tmp_path: Path
) -> None:
    copy_examples(tmp_path, broker_url=broker.url)
    walk = Walk(broker=broker, stack=chandlery, kubectl=chandlery.kubectl())
    walk.make(tmp_path)
    assert "demo-instance-credentials" in walk.printed["secret"]
    assert walk.instance_status_at_broker == 200
    for name in ("gateway", "provisioner", "binder", "syncer"):
        forbidden = [line for line in chandlery.programs[name].log_text().splitlines() if "is forbidden" in line]
        assert not forbidden, name


def test_a_namespace_that_does_not_take_part_is_told_the_command_that_helps(
    cluster: RealCluster, chandlery: ChartInstallation, broker: DemoBroker, namespace: str
) -> None:
    api = chandlery.api
    assert api.create(cluster_broker("opting", broker.url)).status == 201
    api.await_ready("clusterservicebrokers", "opting")
    assert api.create(instance("db"), namespace=namespace).status == 201
    api.await_ready("serviceinstances", "db", namespace=namespace)
    assert api.create(binding("login", "db"), namespace=namespace).status == 201
    told = api.await_object(
        "servicebindings",
        "login",
        lambda found: "kubectl" in condition(found, "Ready").get("message", ""),
        namespace=namespace,
    )
    message = condition(told, "Ready")["message"]
    assert condition(told, "Ready")["status"] == "False"
    found = re.search(r"kubectl (create rolebinding .*?)[`.]?$", message)
    assert found is not None, message
    cluster.kubectl().ok(*found[1].split())
    api.await_ready("servicebindings", "login", namespace=namespace)
    assert cluster.secret(namespace, "login") is not None
    for plural, name in (("servicebindings", "login"), ("serviceinstances", "db")):
        cluster.kubectl().ok("delete", plural, name, "--namespace", namespace)
    cluster.kubectl().ok("delete", "clusterservicebroker", "opting")


def test_a_namespace_goes_with_all_that_is_in_it_though_our_rights_there_go_first(
    cluster: RealCluster, chandlery: ChartInstallation, broker: DemoBroker, namespace: str
) -> None:
    kubectl = cluster.kubectl()
    _opt_in(chandlery, namespace)
    kubectl.ok(
        "create",
        "secret",
        "generic",
        "login",
        "--from-literal=username=a",
        "--from-literal=password=b",
        *_in(namespace),
    )
    auth = {"basic": {"secretRef": {"name": "login"}}}
    ours = {**cluster_broker("own", broker.url, authInfo=auth), "kind": "ServiceBroker"}
    names = {"serviceClassExternalName": "demo-service", "servicePlanExternalName": "default"}
    api = chandlery.api
    for plural, document in (
        ("servicebrokers", ours),
        ("serviceinstances", {**instance("db"), "spec": names}),
        ("servicebindings", binding("access", "db")),
    ):
        assert api.create(document, namespace=namespace).status == 201
        api.await_ready(plural, document["metadata"]["name"], namespace=namespace)
    id_at_broker = api.find("serviceinstances", "db", namespace=namespace)
    assert id_at_broker is not None
    path = f"/v2/service_instances/{id_at_broker['spec']['externalID']}"
    assert broker.status_of(path) == 200

    # The namespace controller may do so, too: it takes the kinds in any order.
    kubectl.ok("delete", "rolebinding", "--all", *_in(namespace))
    kubectl.ok("delete", "secret", "login", *_in(namespace))
    kubectl.ok("delete", "serviceinstance,servicebinding", "--all", "--wait=false", *_in(namespace))
    kubectl.ok("delete", "namespace", namespace, "--wait=false")
    cluster.api().await_gone("namespaces", namespace, seconds=120)
    assert broker.status_of(path) == 404
    deletions = [each for method, each, status in broker.requests() if method == "DELETE" and each.startswith(path)]
    assert ["service_bindings" in each for each in deletions] == [True, False]


def _in(namespace: str) -> list[str]:
    return ["--namespace", namespace]


def _opt_in(chandlery: ChartInstallation, namespace: str) -> None:
    """As the documents say that whoever looks after it may."""
    page = (REPOSITORY / "docs/cluster.md").read_text().replace("\\\n", " ")
    commands = re.findall(
        r"^    kubectl (create rolebinding .*--namespace shop --clusterrole chandlery:\S+ .*)$", page, re.MULTILINE
    )
    assert len(commands) == 2
    for command in commands:
        chandlery.kubectl().ok(*command.replace("--namespace shop", f"--namespace {namespace}").split())


def test_helm_test_has_an_instance_and_a_binding_made_and_taken_away(
    cluster: RealCluster, chandlery: ChartInstallation, tmp_path: Path
) -> None:
    brought = [body for (kind, _), body in chandlery.hooks("test").items() if kind != "Pod"]
    assert brought[0]["kind"] == "Namespace"
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": brought})
    cluster.kubectl().ok("apply", "--warnings-as-errors", "-f", "-", stdin=text)
    pod = chandlery.hooks("test")["Pod", "chandlery-test"]["spec"]
    account = cluster.service_account(NAMESPACE, pod["serviceAccountName"])
    given = {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}
    environment = {
        "PATH": os.environ["PATH"],
        "NAMESPACE": given["NAMESPACE"],
        "GATEWAY_URL": cluster.plane.address,
        "TOKEN_FILE": str(account.with_suffix(".token")),
        "CERTIFICATE_FILE": str(cluster.plane.serving.bundle),
        "BROKER_HOST": "127.0.0.1",
        "BROKER_PORT": str(free_port()),
    }
    script = pod["containers"][0]["args"][0]
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("ServiceInstance is ready", "ServiceBinding is ready", "taken away again"):
        assert words in done.stdout
    left = cluster.kubectl().ok("get", "servicebrokers,serviceinstances,servicebindings", "-n", given["NAMESPACE"])
    assert left == ""
    cluster.kubectl().ok("delete", "namespace", given["NAMESPACE"], "--wait=false")


def test_an_upgrade_leaves_the_certificate_alone(cluster: RealCluster, chandlery: ChartInstallation) -> None:
    def kept() -> tuple[str, dict[str, str] | None]:
        return cluster.api().read(_API_SERVICE)[1]["spec"]["caBundle"], cluster.secret(NAMESPACE, "chandlery-serving")

    before = kept()
    assert before[1] is not None and before[1].keys() == {"tls.crt", "tls.key", "ca.crt", "ca.key"}
    chandlery.apply(kubernetes={**chandlery.values["kubernetes"], "apiServices": {"versionPriority": 21}})
    assert cluster.api().read(_API_SERVICE)[1]["spec"]["versionPriority"] == 21
    assert kept() == before
    chandlery.await_available()


@pytest.mark.parametrize(
    ("service", "verb", "what", "place", "allowed"),
    [
        ("gateway", "get", "secrets/chandlery-serving", NAMESPACE, True),
        ("gateway", "get", "secrets/chandlery", NAMESPACE, False),
        ("gateway", "create", "secrets", NAMESPACE, False),
        ("gateway", "get", "secrets", OPTED_IN, False),
        ("gateway", "patch", "apiservices.apiregistration.k8s.io/v1.history.chandlery.io", "", True),
        ("gateway", "patch", "apiservices.apiregistration.k8s.io/v1.apps", "", False),
        ("binder", "create", "secrets", OPTED_IN, True),
        ("binder", "get", "secrets", NAMESPACE, False),
        ("binder", "get", "secrets", "kube-system", False),
        ("provisioner", "get", "secrets", OPTED_IN, True),
        ("provisioner", "create", "secrets", OPTED_IN, False),
        ("syncer", "get", "secrets", "kube-system", False),
        ("syncer", "create", "events", "kube-system", True),
        ("syncer", "create", "rolebindings.rbac.authorization.k8s.io", OPTED_IN, False),
        ("provisioner", "create", "serviceaccounts/token", NAMESPACE, False),
    ],
)
def test_service_account_may_do_what_it_needs_and_no_more(
    cluster: RealCluster, chandlery: ChartInstallation, service: str, verb: str, what: str, place: str, *, allowed: bool
) -> None:
    kubectl = cluster.kubectl(kubeconfig=chandlery.kubeconfig_of(service))
    scope = ["--namespace", place] if place else []
    assert (kubectl.run("auth", "can-i", verb, what, *scope).out.strip() == "yes") == allowed


_RIGHTS = {
    "view": {"list instances", "list operations", "watch bindings"},
    "edit": {"list instances", "list operations", "watch bindings", "create instances", "delete bindings"},
    "admin": {
        *("list instances", "list operations", "watch bindings", "create instances", "delete bindings"),
        "create brokers",
    },
    "chandlery:catalog-viewer": {"list classes"},
    "chandlery:broker-admin": {"list classes", "create clusterbrokers"},
}
_ACTIONS = {
    "list instances": ("list", "serviceinstances.servicecatalog.k8s.io"),
    "list operations": ("list", "serviceinstanceoperations.history.chandlery.io"),
    "watch bindings": ("watch", "servicebindings.servicecatalog.k8s.io"),
    "create instances": ("create", "serviceinstances.servicecatalog.k8s.io"),
    "delete bindings": ("delete", "servicebindings.servicecatalog.k8s.io"),
    "create brokers": ("create", "servicebrokers.servicecatalog.k8s.io"),
    "list classes": ("list", "clusterserviceclasses.servicecatalog.k8s.io"),
    "create clusterbrokers": ("create", "clusterservicebrokers.servicecatalog.k8s.io"),
    "list audit": ("list", "auditevents.audit.chandlery.io"),
    "adopt": ("adopt", "serviceinstances.servicecatalog.k8s.io"),
}


_OF_THE_WHOLE_CLUSTER = ("list classes", "create clusterbrokers", "list audit")


def _scope(action: str, namespace: str) -> list[str]:
    return ["--all-namespaces"] if action in _OF_THE_WHOLE_CLUSTER else ["--namespace", namespace]


@pytest.mark.parametrize("role", _RIGHTS)
def test_role_lets_a_user_do_what_it_says(
    cluster: RealCluster, chandlery: ChartInstallation, namespace: str, role: str
) -> None:
    user = f"user-of-{role.replace(':', '-')}"
    cluster.grant(role, to=user, namespace="" if ":" in role else namespace)
    kubectl = cluster.kubectl(kubeconfig=cluster.user(user))
    may = {
        action
        for action, (verb, resource) in _ACTIONS.items()
        if kubectl.run("auth", "can-i", verb, resource, *_scope(action, namespace)).out.strip() == "yes"
    }
    assert may == _RIGHTS[role]


def test_chandlery_s_administrators_may_do_everything_in_it_and_read_the_audit_log(
    cluster: RealCluster, chandlery: ChartInstallation, namespace: str
) -> None:
    cluster.grant("chandlery:admin", to="catalog-keeper")
    kubectl = cluster.kubectl(kubeconfig=cluster.user("catalog-keeper"))
    for action, (verb, resource) in _ACTIONS.items():
        asked = ("auth", "can-i", verb, resource, *_scope(action, namespace))
        assert kubectl.run(*asked).out.strip() == "yes", action
    assert kubectl.run("get", "auditevents").code == 0
    assert "forbidden" in kubectl.run("get", "secrets", "--namespace", namespace).err


def test_without_its_api_services_the_cluster_knows_nothing_of_it(
    cluster: RealCluster, chandlery: ChartInstallation, namespace: str
) -> None:
    """As Helm removes them, first: a namespace can be deleted then, though gateways are gone."""
    chandlery.unregister()
    try:
        chandlery.relay.cut()
        cluster.kubectl().ok("delete", "namespace", namespace, "--wait=false")
        cluster.api().await_gone("namespaces", namespace)
    finally:
        chandlery.relay.open()
        chandlery.register()
    chandlery.await_available()
