"""What a user gets wrong in a manifest: one clear sentence, exit code 1, and nothing has changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.e2e.stacks.api_client import ApiClient, JsonObject, condition
from tests.e2e.stacks.brokers import DemoBroker, scripted_peer
from tests.e2e.stacks.kubectl import Kubectl, KubectlChoice, Printed
from tests.e2e.stacks.manifests import API, binding, cluster_broker, instance
from tests.e2e.stacks.programs import LOOPBACK, free_port
from tests.e2e.stacks.stacks import EmbeddedStack
from tests.support.selection import IS_BRIEF

KUBECTLS: Final = {"kubectl": "any"} if IS_BRIEF else {"kubectl": "any", "kubectl-1.20": "debian"}

_SINCE_SERVER_SIDE_VALIDATION: Final = 27
"""kubectl 1.27 leaves the search for unknown fields to the server."""


@pytest.fixture(scope="module")
def demo_broker(folder: Path) -> Iterator[DemoBroker]:
    with DemoBroker(folder) as broker:
        yield broker


@pytest.fixture(scope="module", params=list(KUBECTLS.values()), ids=list(KUBECTLS))
def kubectl(request: pytest.FixtureRequest, embedded: EmbeddedStack, demo_broker: DemoBroker) -> Kubectl:
    found = embedded.kubectl(cast("KubectlChoice", request.param))
    found.apply(cluster_broker("demo-broker", demo_broker.url))
    found.ok("wait", "--for=condition=Ready", "clusterservicebroker/demo-broker", "--timeout=30s")
    return found


@pytest.fixture
def api(embedded: EmbeddedStack) -> ApiClient:
    return embedded.api


@pytest.fixture(autouse=True)
def nothing_changes(embedded: EmbeddedStack, demo_broker: DemoBroker, kubectl: Kubectl) -> Iterator[None]:
    """After each test there is what was there before, and the program has not stumbled."""
    before = _everything(embedded.api)
    yield
    assert _everything(embedded.api) == before
    assert "Traceback" not in embedded.programs["up"].log_text()


def test_unknown_kind_is_refused(kubectl: Kubectl) -> None:
    printed = _create(kubectl, {"apiVersion": API, "kind": "ServiceWish", "metadata": {"name": "w"}})
    assert f'no matches for kind "ServiceWish" in version "{API}"' in printed.err


def test_unknown_version_is_refused(kubectl: Kubectl) -> None:
    printed = _create(kubectl, {**instance("i"), "apiVersion": "servicecatalog.k8s.io/v7"})
    assert 'no matches for kind "ServiceInstance" in version "servicecatalog.k8s.io/v7"' in printed.err


def test_unknown_field_is_refused(kubectl: Kubectl) -> None:
    printed = _create(kubectl, instance("i", colour="blue"))
    if kubectl.minor_version < _SINCE_SERVER_SIDE_VALIDATION:
        assert 'ValidationError(ServiceInstance.spec): unknown field "colour"' in printed.err
    else:
        assert 'strict decoding error: unknown field "spec.colour"' in printed.err


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (instance("i", clusterServiceClassExternalName=["demo-service"]), "clusterServiceClassExternalName"),
        (cluster_broker("b", 5), "url"),  # type: ignore[arg-type]
        (cluster_broker("b", "http://b", insecureSkipTLSVerify="perhaps"), "insecureSkipTLSVerify"),
        (binding("b", {"name": "i"}), "name"),  # type: ignore[arg-type]
    ],
    ids=["list for a string", "number for a string", "string for a boolean", "object for a string"],
)
def test_wrong_type_is_refused_by_field(kubectl: Kubectl, document: JsonObject, field: str) -> None:
    printed = _create(kubectl, document)
    assert field in printed.err
    assert "invalid" in printed.err.lower()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (instance("Not A Name"), "metadata.name"),
        (cluster_broker("b", ""), "spec.url: Required value"),
        (cluster_broker("b", "not a url"), "spec.url: Invalid value"),
        (instance("i", clusterServiceClassName="also"), "use only one of them"),
        ({"apiVersion": API, "kind": "ServiceInstance", "metadata": {"name": "i"}, "spec": {}}, "name the class"),
        (binding("b", ""), "spec.instanceRef.name: Required value"),
    ],
    ids=["bad name", "no url", "bad url", "two spellings of a class", "no class", "no instance"],
)
def test_invalid_object_is_refused_by_field(kubectl: Kubectl, document: JsonObject, sentence: str) -> None:
    printed = _create(kubectl, document)
    assert printed.err.startswith(f'The {document["kind"]} "{document["metadata"]["name"]}" is invalid: ')
    assert sentence in printed.err


def test_malformed_manifest_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "torn.yaml"
    file.write_text("apiVersion: servicecatalog.k8s.io/v1beta1\nkind: [ServiceInstance\n")
    printed = kubectl.run("create", "-f", str(file))
    assert printed.code == 1
    assert "error parsing" in printed.err
    assert "torn.yaml" in printed.err


def test_second_object_of_a_name_is_refused(kubectl: Kubectl, demo_broker: DemoBroker) -> None:
    printed = _create(kubectl, cluster_broker("demo-broker", demo_broker.url))
    assert 'clusterservicebrokers.servicecatalog.k8s.io "demo-broker" already exists' in printed.err


def test_missing_object_is_named(kubectl: Kubectl) -> None:
    for words in (("get",), ("delete",), ("describe",)):
        printed = kubectl.run(*words, "serviceinstance", "nobody")
        assert printed.code == 1
        assert printed.err == (
            'Error from server (NotFound): serviceinstances.servicecatalog.k8s.io "nobody" not found\n'
        )


def test_missing_namespace_is_named(kubectl: Kubectl) -> None:
    printed = kubectl.run("-n", "nowhere", "create", "-f", "-", stdin=yaml.safe_dump(instance("i")))
    assert printed.code == 1
    assert 'namespaces "nowhere" not found' in printed.err


def test_instance_of_a_missing_class_says_so_and_asks_nobody(
    kubectl: Kubectl, api: ApiClient, demo_broker: DemoBroker
) -> None:
    requests = demo_broker.requests()
    kubectl.create(instance("classless", "no-such-service"))
    said = api.await_reason("serviceinstances", "classless", "ReferencesNonexistentServiceClass")
    assert said["status"] == "False"
    assert "no-such-service" in said["message"]
    assert kubectl.ok("get", "serviceinstances", "--no-headers").split()[3] == "ReferencesNonexistentServiceClass"
    kubectl.ok("delete", "serviceinstance", "classless", "--timeout=30s")
    assert demo_broker.requests() == requests


def test_instance_of_a_missing_plan_says_so(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.create(instance("planless", plan="no-such-plan"))
    said = api.await_reason("serviceinstances", "planless", "ReferencesNonexistentServicePlan")
    assert "no-such-plan" in said["message"]
    kubectl.ok("delete", "serviceinstance", "planless", "--timeout=30s")


def test_broker_that_is_down_is_named_with_the_cause(kubectl: Kubectl, api: ApiClient) -> None:
    port = free_port()
    kubectl.create(cluster_broker("down", f"http://{LOOPBACK}:{port}"))
    said = api.await_reason("clusterservicebrokers", "down", "ErrorFetchingCatalog")
    assert said["status"] == "False"
    assert f"cannot reach the broker at {LOOPBACK}:{port}: connection refused" in said["message"]
    assert kubectl.ok("get", "clusterservicebroker", "down", "--no-headers").split()[2] == "ErrorFetchingCatalog"
    assert "ErrorFetchingCatalog" in kubectl.ok("describe", "clusterservicebroker", "down")
    kubectl.ok("delete", "clusterservicebroker", "down", "--timeout=30s")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>Welcome to nginx!</html>", {"Content-Type": "text/html"}),
        Reply(200, b'{"services": [{"id": "torn'),
        Reply(200, {"services": "none"}),
        Reply(200, [1, 2, 3]),
        Reply(200, {"services": [{"name": "no-id", "plans": []}]}),
        Reply(404, b"not here"),
        Reply(500, {"description": "out of coffee"}),
        Reply(close=True),
    ],
    ids=["html", "torn json", "no list", "no object", "no ids", "404", "500", "no answer"],
)
def test_broker_that_answers_nonsense_is_not_ready_and_offers_nothing(
    kubectl: Kubectl, api: ApiClient, reply: Reply
) -> None:
    classes = api.names("clusterserviceclasses")
    with scripted_peer() as peer:
        peer.always(GET_CATALOG, reply)
        kubectl.create(cluster_broker("odd", peer.url))
        odd = api.await_object("clusterservicebrokers", "odd", lambda seen: bool(condition(seen, "Ready")))
        said = condition(odd, "Ready")
        assert said["status"] == "False"
        assert said["reason"] in {"ErrorFetchingCatalog", "ErrorSyncingCatalog"}
        assert said["message"].startswith("Error ")
        assert "Traceback" not in said["message"]
        assert "Error(" not in said["message"]
        assert api.names("clusterserviceclasses") == classes
        kubectl.ok("delete", "clusterservicebroker", "odd", "--timeout=30s")


def test_wrong_token_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    document: Any = yaml.safe_load(kubectl.kubeconfig.read_text())
    document["users"][0]["user"]["token"] = "guessed"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(document))
    stranger = Kubectl(kubectl.binary, tmp_path / "kubeconfig", home=tmp_path / "home")
    printed = stranger.run("get", "serviceinstances")
    assert printed.code == 1
    assert "error: You must be logged in to the server" in printed.err
    assert "guessed" not in printed.err


def _create(kubectl: Kubectl, document: JsonObject) -> Printed:
    """Try to create it, and insist on the refusal: exit code 1 and not a word on standard output."""
    printed = kubectl.run("create", "-f", "-", stdin=yaml.safe_dump(document))
    assert printed.code == 1, str(printed)
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed


def _everything(api: ApiClient) -> dict[str, list[str]]:
    return {
        plural: api.names(plural)
        for plural in (
            "clusterservicebrokers",
            "clusterserviceclasses",
            "clusterserviceplans",
            "serviceinstances",
            "servicebindings",
            "secrets",
            "namespaces",
        )
    }
