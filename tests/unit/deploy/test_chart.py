"""The chart as a whole: the Helm engine accepts it, and what it renders is valid Kubernetes in every variant."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
EXISTING = {"existingSecret": {"name": "own", "keys": {"databaseUrl": "uri"}}}
# What each variant gives beside, or with existingSecret instead of, the required values.
VARIANTS: dict[str, dict[str, Any]] = {
    "required": {},
    "existing-secret": EXISTING,
    "tls": {"gateway": {"tls": {"secretName": "gateway-tls"}, "service": {"type": "LoadBalancer", "port": 443}}},
    "replicas": {service: {"replicas": 5} for service in SERVICES},
    "bare": {
        "migration": {"enabled": False},
        "serviceAccounts": {"create": False, "name": "shared"},
        **{service: {"podDisruptionBudget": {"enabled": False}} for service in SERVICES},
    },
    "full": {
        "image": {"digest": f"sha256:{'a' * 64}"},
        "imagePullSecrets": [{"name": "pull"}],
        "settings": {"clusterId": "c-1", "extra": {"CHANDLERY_SHUTDOWN_SECONDS": "10"}},
        "binder": {"podAnnotations": {"example.com/note": "1"}},
        "serviceAccounts": {"annotations": {"example.com/role": "chandlery"}},
        "podSecurityContext": {"runAsUser": 1000660000, "fsGroup": None},
        "podLabels": {"example.com/team": "catalog"},
        "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/etc/ca/ca.crt"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "high",
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Chandlery"}},
        "alerts": {"enabled": True, "kind": "ConfigMap"},
        "metrics": {"enabled": True, "allowFrom": [{"podSelector": {}}]},
    },
}


@pytest.fixture(params=VARIANTS)
def values(request: pytest.FixtureRequest, required: dict[str, Any]) -> dict[str, Any]:
    """The values of each variant."""
    variant = VARIANTS[request.param]
    return variant if "existingSecret" in variant else {**required, **variant}


@pytest.mark.parametrize("with_values", [False, True], ids=["defaults", "required"])
def test_chart_passes_the_strict_linter(chart_folder: Path, required: dict[str, Any], with_values: bool) -> None:
    report = helm_python.lint(chart_folder, required if with_values else None, strict=True)
    assert report["total_charts_linted"] == 1
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("version", ["1.25", "1.31", kubernetes_validate.latest_version()])
def test_chart_renders_valid_objects(render: Render, values: dict[str, Any], version: str) -> None:
    objects = render(values)
    assert objects
    for body in objects.values():
        kubernetes_validate.validate(body, version, strict=True)
        assert body["metadata"]["namespace"] == "prod"


def test_chart_has_the_objects_of_four_services(render: Render, required: dict[str, Any]) -> None:
    of_each = {
        (kind, f"demo-chandlery-{service}")
        for service in SERVICES
        for kind in ("Deployment", "ServiceAccount", "PodDisruptionBudget")
    }
    single = {
        ("Service", "demo-chandlery-gateway"),
        ("ConfigMap", "demo-chandlery"),
        ("ConfigMap", "demo-chandlery-log-levels"),
        ("Secret", "demo-chandlery"),
        ("Secret", "demo-chandlery-encryption"),
        ("Secret", "demo-chandlery-migrate"),
        ("Job", "demo-chandlery-migrate"),
        ("Job", "demo-chandlery-uninstall-check"),
        ("Pod", "demo-chandlery-test"),
    }
    assert set(render(required)) == of_each | single


def test_chart_makes_no_secret_when_one_exists(render: Render) -> None:
    objects = render(EXISTING)
    assert [name for kind, name in objects if kind == "Secret"] == []
    used = {
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for (kind, _), body in objects.items()
        if kind in ("Deployment", "Job")
        for entry in body["spec"]["template"]["spec"]["containers"][0]["env"]
        if "valueFrom" in entry
    }
    assert used == {("own", "uri"), ("own", "amqp-url"), ("own", "encryption-keys")}


def test_chart_gives_each_service_its_own_replicas(render: Render, required: dict[str, Any]) -> None:
    counts = dict(zip(SERVICES, (3, 1, 4, 0), strict=True))
    objects = render({**required, **{service: {"replicas": count} for service, count in counts.items()}})
    found = {service: objects["Deployment", f"demo-chandlery-{service}"]["spec"]["replicas"] for service in SERVICES}
    assert found == counts


def test_chart_serves_https_everywhere_when_it_has_a_certificate(render: Render, required: dict[str, Any]) -> None:
    objects = render({**required, **VARIANTS["tls"]})
    gateway = objects["Deployment", "demo-chandlery-gateway"]["spec"]["template"]["spec"]
    container = gateway["containers"][0]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert environment["CHANDLERY_TLS_CERT_FILE"] == f"{mounts['tls']}/tls.crt"
    assert environment["CHANDLERY_TLS_KEY_FILE"] == f"{mounts['tls']}/tls.key"
    assert {"name": "tls", "secret": {"secretName": "gateway-tls", "defaultMode": 0o440}} in gateway["volumes"]
    assert {"name": "https", "containerPort": 8080, "protocol": "TCP"} in container["ports"]
    # Probes have a port of their own, and say nothing that is worth a certificate.
    schemes = {container[f"{probe}Probe"]["httpGet"]["scheme"] for probe in ("startup", "liveness", "readiness")}
    assert schemes == {"HTTP"}
    assert objects["Service", "demo-chandlery-gateway"]["spec"]["ports"][0]["targetPort"] == "https"
    test = objects["Pod", "demo-chandlery-test"]["spec"]["containers"][0]
    told = {entry["name"]: entry.get("value") for entry in test["env"]}
    assert told["GATEWAY_URL"] == "https://demo-chandlery-gateway:443"
    # It sends a token: to whoever has this certificate alone. Of the key it knows nothing.
    assert told["CERTIFICATE_FILE"] == "/etc/chandlery/tls/tls.crt"
    [mounted] = [
        volume for volume in objects["Pod", "demo-chandlery-test"]["spec"]["volumes"] if volume["name"] == "tls"
    ]
    assert mounted["secret"]["items"] == [{"key": "tls.crt", "path": "tls.crt"}]


def test_helm_test_runs_the_script_of_the_chart_whole(
    render: Render, required: dict[str, Any], chart_folder: Path
) -> None:
    container = render(required)["Pod", "demo-chandlery-test"]["spec"]["containers"][0]
    script = (chart_folder / "files/real_provision.py").read_text()
    assert container["args"] == [script]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", script)) - {"CERTIFICATE_FILE", "NAMESPACE"} == set(
        environment
    )
    assert environment["BROKER_HOST"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert environment["GATEWAY_URL"]["value"] == "http://demo-chandlery-gateway:8080"
    assert {
        "name": "broker",
        "containerPort": int(environment["BROKER_PORT"]["value"]),
        "protocol": "TCP",
    } in container["ports"]


@pytest.mark.parametrize(
    ("release", "given", "expected"),
    [
        ("chandlery", {}, "chandlery-gateway"),
        ("my-chandlery", {}, "my-chandlery-gateway"),
        ("demo", {"nameOverride": "catalog"}, "demo-catalog-gateway"),
        ("2024", {"fullnameOverride": "catalog"}, "catalog-gateway"),
        ("r" * 53, {}, f"{'r' * 40}-gateway"),
    ],
)
def test_chart_names_its_objects_after_the_release(
    render: Render, required: dict[str, Any], *, release: str, given: dict[str, str], expected: str
) -> None:
    objects = render({**required, **given}, release=release)
    assert ("Deployment", expected) in objects
    assert all(len(name) <= 63 for _, name in objects)
    for body in objects.values():
        assert body["metadata"]["labels"]["app.kubernetes.io/instance"] == release


def test_chart_carries_the_version_of_the_project(chart_folder: Path, project: dict[str, Any]) -> None:
    assert yaml.safe_load((chart_folder / "Chart.yaml").read_text())["appVersion"] == project["version"]


def test_chart_readme_explains_every_value(chart_folder: Path) -> None:
    readme = (chart_folder / "README.md").read_text()
    values = yaml.safe_load((chart_folder / "values.yaml").read_text())
    names = {*values, *(f"settings.{name}" for name in values["settings"])} - {*SERVICES, "settings", "image"}
    assert [name for name in sorted(names) if f"`{name}" not in readme] == []
