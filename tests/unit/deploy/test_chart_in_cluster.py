"""The chart with platform kubernetes: what it makes of the cluster's API, by whose certificate, and how it leaves."""

import base64
import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest

from chandlery.model.objects.kinds import CATALOG_KINDS
from chandlery_gateway.kube.kinds.audit_kinds import AUDIT_EVENT
from chandlery_gateway.kube.kinds.operation_kinds import OPERATION_KINDS
from tests.unit.deploy.conftest import Objects

Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
PEM = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
_OWN = {"gateway": {"tls": {"secretName": "own-tls"}}}
_BY_SECRET = {"servingCertificate": {"source": "secret", "caBundle": PEM}}
VARIANTS: dict[str, dict[str, Any]] = {
    "self": {},
    "cert-manager": {"kubernetes": {"servingCertificate": {"source": "certManager"}}},
    "own-issuer": {
        "kubernetes": {
            "servingCertificate": {
                "source": "certManager",
                "certManager": {"issuerRef": {"name": "company", "kind": "ClusterIssuer"}},
            }
        }
    },
    "secret": {**_OWN, "kubernetes": _BY_SECRET},
    "namespaces": {
        "kubernetes": {"secrets": {"namespaces": ["shop", "stock"], "brokerNamespaces": ["shop", "logins"]}}
    },
    "cluster-wide": {"kubernetes": {"secrets": {"clusterWide": True}, "roles": {"catalogForEverybody": True}}},
    "other-names": {"fullnameOverride": "catalog", "gateway": {"service": {"port": 8443}}},
    "existing-accounts": {
        "serviceAccounts": {"create": False, "name": "shared"},
        "kubernetes": {"secrets": {"namespaces": ["shop"]}},
    },
    "bare": {
        "migration": {"enabled": False},
        "uninstall": {"force": True},
        "kubernetes": {"roles": {"aggregate": False}, "apiServices": {"annotations": {"example.com/note": "1"}}},
    },
}
_CLUSTER_SCOPED = {"Namespace", "APIService", "ClusterRole", "ClusterRoleBinding"}
_OF_CERT_MANAGER = {"Certificate", "Issuer"}


@pytest.fixture(params=VARIANTS)
def values(request: pytest.FixtureRequest, in_cluster: dict[str, Any]) -> dict[str, Any]:
    """The values of each variant."""
    return {**in_cluster, **VARIANTS[request.param]}


def of_kind(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body for (each, name), body in objects.items() if each == kind}


@pytest.mark.parametrize("version", ["1.29", "1.33", kubernetes_validate.latest_version()])
def test_chart_renders_valid_objects(render: Render, values: dict[str, Any], version: str) -> None:
    for (kind, _), body in render(values).items():
        if kind not in _OF_CERT_MANAGER:
            kubernetes_validate.validate(body, version, strict=True)
        assert ("namespace" in body["metadata"]) == (kind not in _CLUSTER_SCOPED), kind


def test_chart_passes_the_strict_linter(chart_folder: Any, values: dict[str, Any]) -> None:
    report = helm_python.lint(chart_folder, values, strict=True)
    assert (report["errors"], [each for each in report["messages"] if each["severity"] > 1]) == ([], [])


def test_cluster_is_told_of_each_group_that_gateways_serve_there(render: Render, in_cluster: dict[str, Any]) -> None:
    served = {(kind.group, kind.version) for kind in (*CATALOG_KINDS, AUDIT_EVENT, *OPERATION_KINDS)}
    services = of_kind(render(in_cluster), "APIService")
    assert {(body["spec"]["group"], body["spec"]["version"]) for body in services.values()} == served
    for name, body in services.items():
        assert name == f"{body['spec']['version']}.{body['spec']['group']}"
        assert body["spec"]["service"] == {"name": "demo-chandlery-gateway", "namespace": "prod", "port": 443}
        assert (body["spec"]["groupPriorityMinimum"], body["spec"]["versionPriority"]) == (10_000, 20)
        assert "insecureSkipTLSVerify" not in body["spec"]


def test_service_of_the_gateways_has_the_port_that_the_cluster_is_told(render: Render, values: dict[str, Any]) -> None:
    objects = render(values)
    [service] = of_kind(objects, "Service").values()
    [port] = service["spec"]["ports"]
    assert port["targetPort"] == "https"
    for body in of_kind(objects, "APIService").values():
        told = body["spec"]["service"]
        assert (told["name"], told["port"]) == (service["metadata"]["name"], port["port"])


def test_upgrade_leaves_alone_the_certificate_that_gateways_keep(render: Render, in_cluster: dict[str, Any]) -> None:
    objects = render(in_cluster)
    # Fields that are not in the manifest are not Helm's: neither its merge of three nor an apply touches them.
    assert all("caBundle" not in body["spec"] for body in of_kind(objects, "APIService").values())
    assert objects["Secret", "demo-chandlery-serving"].keys() == {"apiVersion", "kind", "metadata", "type"}
    environment = environment_of(objects, "gateway")
    assert environment["CHANDLERY_SERVING_CERT_SECRET"] == "demo-chandlery-serving"
    assert environment["CHANDLERY_SERVING_SERVICE"] == "demo-chandlery-gateway"
    assert "CHANDLERY_TLS_CERT_FILE" not in environment


@pytest.mark.parametrize("variant", ["cert-manager", "own-issuer"])
def test_cert_manager_makes_the_certificate_and_tells_the_cluster(
    render: Render, in_cluster: dict[str, Any], variant: str
) -> None:
    objects = render({**in_cluster, **VARIANTS[variant]})
    certificate = objects["Certificate", "demo-chandlery-serving"]["spec"]
    # The name by which kube-apiserver looks for the Service.
    assert "demo-chandlery-gateway.prod.svc" in certificate["dnsNames"]
    assert len(certificate["commonName"]) <= 64
    for body in of_kind(objects, "APIService").values():
        told = body["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        assert (told, "caBundle" in body["spec"]) == ("prod/demo-chandlery-serving", False)
    issuers = of_kind(objects, "Issuer")
    if variant == "own-issuer":
        assert certificate["issuerRef"] == {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}
        assert not issuers
    else:
        authority = objects["Certificate", "demo-chandlery-serving-ca"]["spec"]
        assert authority["isCA"] is True
        assert issuers[certificate["issuerRef"]["name"]]["spec"] == {"ca": {"secretName": authority["secretName"]}}
        assert issuers[authority["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
    assert mounted_secret(objects, "tls") == certificate["secretName"]
    assert environment_of(objects, "gateway")["CHANDLERY_TLS_CERT_FILE"] == "/etc/chandlery/tls/tls.crt"


def test_own_certificate_is_mounted_and_its_authority_told_to_the_cluster(
    render: Render, in_cluster: dict[str, Any]
) -> None:
    objects = render({**in_cluster, **VARIANTS["secret"]})
    told = {base64.b64decode(body["spec"]["caBundle"]).decode() for body in of_kind(objects, "APIService").values()}
    assert told == {PEM}
    assert mounted_secret(objects, "tls") == "own-tls"
    assert ("Secret", "demo-chandlery-serving") not in objects


def test_users_are_those_of_the_cluster(render: Render, values: dict[str, Any]) -> None:
    objects = render(values)
    for service, name in deployments(objects).items():
        environment = environment_of(objects, service)
        assert "CHANDLERY_TOKEN_FILE" not in environment
        assert "tokens" not in [volume["name"] for volume in pod_of(objects, name)["volumes"]]
    settings = [
        body["data"] for body in of_kind(objects, "ConfigMap").values() if "CHANDLERY_LOG_LEVEL" in body["data"]
    ]
    assert [each["CHANDLERY_PLATFORM"] for each in settings] == ["kubernetes"]
    assert not [key for body in of_kind(objects, "Secret").values() for key in body.get("data", {}) if "tokens" in key]


def test_each_service_has_a_token_that_ends_and_nobody_else_has_one(render: Render, values: dict[str, Any]) -> None:
    objects = render(values)
    for name in deployments(objects).values():
        pod = pod_of(objects, name)
        [token] = [each["projected"] for each in pod["volumes"] if "projected" in each]
        by_path = {
            path: source
            for source in token["sources"]
            for path in [*[each["path"] for each in next(iter(source.values())).get("items", [])], "token"]
            if path != "token" or "serviceAccountToken" in source
        }
        assert by_path.keys() == {"token", "ca.crt", "namespace"}
        assert by_path["token"]["serviceAccountToken"]["expirationSeconds"] == 3600
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert mounts["cluster-token"] == "/var/run/secrets/kubernetes.io/serviceaccount"
        assert pod["automountServiceAccountToken"] is False
    for body in of_kind(objects, "Job").values():
        spec = body["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert not [each for each in spec["volumes"] if "projected" in each]


def test_helm_test_orders_in_a_namespace_that_it_brings_as_somebody_who_may_there(
    render: Render, in_cluster: dict[str, Any]
) -> None:
    objects = render(in_cluster)
    pod = objects["Pod", "demo-chandlery-test"]["spec"]
    [container] = pod["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    place = told["NAMESPACE"]
    assert place == objects["Namespace", place]["metadata"]["name"]
    assert told["GATEWAY_URL"] == "https://kubernetes.default.svc"
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in pod["volumes"]} == {"cluster-token"}
    assert {told["TOKEN_FILE"], told["CERTIFICATE_FILE"]} == {
        f"{mounts['cluster-token']}/{n}" for n in ("token", "ca.crt")
    }
    binding = objects["RoleBinding", f"{place}/demo-chandlery-test"]
    assert [each["name"] for each in binding["subjects"]] == [pod["serviceAccountName"]] == ["demo-chandlery-test"]
    # What its pod needs is there before, and goes with it.
    for key in (("Namespace", place), ("ServiceAccount", "demo-chandlery-test")):
        notes = objects[key]["metadata"]["annotations"]
        assert (notes["helm.sh/hook"], int(notes["helm.sh/hook-weight"]) < 0) == ("test", True)
        assert "hook-succeeded" in notes["helm.sh/hook-delete-policy"]


def test_helm_test_deletes_no_namespace_that_somebody_may_have(render: Render, in_cluster: dict[str, Any]) -> None:
    # Before a hook Helm deletes whatever has its name.
    releases = [
        ("chandlery", "chandlery"),
        ("chandlery", "chandlery-test"),
        ("chandlery-test", "chandlery"),
        ("x" * 53, "x"),
    ]
    made = [
        name
        for release, namespace in releases
        for kind, name in render(in_cluster, release=release, namespace=namespace)
        if kind == "Namespace"
    ]
    assert len(set(made)) == len(releases)
    for name in made:
        assert re.fullmatch(r"[-a-z]+-helm-test-[0-9a-f]{8}", name)
        assert len(name) <= 63


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ({}, "--clusterrole chandlery:secrets --serviceaccount prod:demo-chandlery-binder"),
        ({"namespaces": ["shop", "stock"]}, "can be delivered in: shop, stock."),
        ({"clusterWide": True}, "can be delivered in every namespace."),
    ],
    ids=["nowhere", "namespaces", "everywhere"],
)
def test_notes_say_where_credentials_can_be_delivered_and_nothing_of_tokens(
    chart_folder: Path, in_cluster: dict[str, Any], secrets: dict[str, Any], told: str
) -> None:
    with helm_python.Chart.load(chart_folder) as chart:
        values = {**in_cluster, "kubernetes": {"secrets": secrets}}
        notes = chart.render(values, name="demo", namespace="prod")["chandlery/templates/NOTES.txt"]
    assert told in notes
    assert "TOKEN" not in notes


@pytest.mark.parametrize("platform", ["kubernetes", "standalone"])
def test_uninstalling_asks_first_whether_anything_would_be_left_behind(
    render: Render, required: dict[str, Any], in_cluster: dict[str, Any], platform: str
) -> None:
    job = render(in_cluster if platform == "kubernetes" else required)["Job", "demo-chandlery-uninstall-check"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert job["spec"]["backoffLimit"] == 0
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"] == ["uninstall-check"]
    # The release's own Secret is still there when this hook runs.
    used = [each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "valueFrom" in each]
    assert used == ["demo-chandlery"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_uninstalling_asks_nothing_if_the_operator_insists(
    render: Render, required: dict[str, Any], in_cluster: dict[str, Any]
) -> None:
    for given in (required, in_cluster):
        assert ("Job", "demo-chandlery-uninstall-check") not in render({**given, "uninstall": {"force": True}})


def test_standalone_makes_nothing_in_the_cluster_beside_its_namespace(render: Render, required: dict[str, Any]) -> None:
    objects = render({**required, "kubernetes": {"secrets": {"clusterWide": True}}})
    assert not {kind for kind, _ in objects} & {*_CLUSTER_SCOPED, "Role", "RoleBinding"}
    assert all(body["metadata"]["namespace"] == "prod" for body in objects.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"auth": {"tokens": [{"token": "hidden-value-0123456", "user": "a"}]}},
            "auth.tokens must not be set with pla",
        ),
        ({**_OWN}, "gateway.tls.secretName must not be set with kubernetes.servingCertificate.source self"),
        ({"kubernetes": _BY_SECRET}, "gateway.tls.secretName is missing"),
        (
            {**_OWN, "kubernetes": {"servingCertificate": {"source": "secret"}}},
            "kubernetes.servingCertificate.caBundle is missing",
        ),
        (
            {**_OWN, "kubernetes": {"servingCertificate": {"source": "secret", "caBundle": "hidden-value"}}},
            "kubernetes.servingCertificate.caBundle has the wrong form",
        ),
        ({"kubernetes": {"servingCertificate": {"caBundle": PEM}}}, "caBundle must not be set with source self"),
        (
            {"kubernetes": {"secrets": {"clusterWide": True, "namespaces": ["a"]}}},
            "kubernetes.secrets.clusterWide gives rights in all namespaces",
        ),
        ({"kubernetes": {"secrets": {"namespaces": ["a", "a"]}}}, "/kubernetes/secrets/namespaces"),
        ({"kubernetes": {"secrets": {"namespaces": ["A"]}}}, "/kubernetes/secrets/namespaces/0"),
        ({"kubernetes": {"servingCertificate": {"source": "none"}}}, "/kubernetes/servingCertificate/source"),
        ({"kubernetes": {"apiService": {}}}, "'apiService' not allowed"),
        ({"kubernetes": {"apiServices": {"insecureSkipTLSVerify": True}}}, "'insecureSkipTLSVerify' not allowed"),
        ({"platform": "openshift"}, "/platform"),
        ({"settings": {"extra": {"CHANDLERY_PLATFORM": "kubernetes"}}}, "CHANDLERY_PLATFORM"),
    ],
)
def test_chart_refuses_what_can_not_work(
    render: Render, in_cluster: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=message) as caught:
        render({**copy.deepcopy(in_cluster), **change})
    assert "hidden-value" not in str(caught.value)


def deployments(objects: Objects) -> dict[str, str]:
    """The Deployments' names by their services."""
    return {
        body["metadata"]["labels"]["app.kubernetes.io/component"]: name
        for name, body in of_kind(objects, "Deployment").items()
    }


def pod_of(objects: Objects, name: str) -> dict[str, Any]:
    pod: dict[str, Any] = objects["Deployment", name]["spec"]["template"]["spec"]
    return pod


def environment_of(objects: Objects, service: str) -> dict[str, Any]:
    container = pod_of(objects, deployments(objects)[service])["containers"][0]
    return {each["name"]: each.get("value") for each in container["env"]}


def mounted_secret(objects: Objects, volume: str) -> str:
    volumes = {each["name"]: each for each in pod_of(objects, "demo-chandlery-gateway")["volumes"]}
    name: str = volumes[volume]["secret"]["secretName"]
    return name
