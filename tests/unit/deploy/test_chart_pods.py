"""The pods that the chart makes: who selects them, what they may do, how they start, stop and get their settings."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chandlery.settings.settings import Settings

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")


@pytest.fixture
def objects(render: Render, required: dict[str, Any]) -> Objects:
    """The chart as it is with the least that has to be given."""
    return render(required)


def pod_specs(objects: Objects) -> dict[tuple[str, str], dict[str, Any]]:
    """Each pod's spec, by the kind and name of the object that makes it."""
    specs = {key: body["spec"]["template"]["spec"] for key, body in objects.items() if key[0] in ("Deployment", "Job")}
    return specs | {key: body["spec"] for key, body in objects.items() if key[0] == "Pod"}


def deployment(objects: Objects, service: str) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment", f"demo-chandlery-{service}"]["spec"]
    return spec


def container_of(objects: Objects, service: str) -> dict[str, Any]:
    container: dict[str, Any] = deployment(objects, service)["template"]["spec"]["containers"][0]
    return container


def environment_of(objects: Objects, service: str) -> dict[str, Any]:
    """The variables whose values stand in the manifest."""
    return {each["name"]: each["value"] for each in container_of(objects, service)["env"] if "value" in each}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_every_selector_finds_the_pods_of_its_own_service_only(objects: Objects) -> None:
    labels = {
        key: body["spec"]["template"]["metadata"]["labels"]
        for key, body in objects.items()
        if "template" in body.get("spec", {})
    }
    labels |= {key: body["metadata"]["labels"] for key, body in objects.items() if key[0] == "Pod"}
    for service in SERVICES:
        name = f"demo-chandlery-{service}"
        selectors = [
            objects["Deployment", name]["spec"]["selector"]["matchLabels"],
            objects["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"],
            deployment(objects, service)["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"][
                "matchLabels"
            ],
        ]
        if service == "gateway":
            selectors.append(objects["Service", name]["spec"]["selector"])
        for selector in selectors:
            assert [key for key in labels if selects(selector, labels[key])] == [("Deployment", name)]


def test_every_pod_is_restricted(objects: Objects) -> None:
    specs = pod_specs(objects)
    # Four services, the migration, the test, and the check before uninstalling.
    assert len(specs) == 7
    for spec in specs.values():
        assert spec["automountServiceAccountToken"] is False
        # Kubernetes would set CHANDLERY_PORT=tcp://… for a Service that is named chandlery.
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_deployment_is_probed_where_it_listens(objects: Objects, service: str) -> None:
    container = container_of(objects, service)
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert environment["CHANDLERY_PROBE_HOST"] == "0.0.0.0"
    assert environment["CHANDLERY_PROBE_PORT"] == ports.pop("probes")
    # Those of a gateway are not asked where everybody's requests arrive.
    assert ports == ({"http": environment["CHANDLERY_PORT"]} if service == "gateway" else {})
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "probes", "scheme": "HTTP"}
        assert container[probe]["timeoutSeconds"] <= container[probe]["periodSeconds"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_pod_shows_its_metrics_on_a_port_of_their_own_if_it_is_told_to(
    render: Render, required: dict[str, Any], service: str
) -> None:
    objects = render({**required, "metrics": {"enabled": True, "port": 9900}})
    assert environment_of(objects, service).items() >= {
        ("CHANDLERY_METRICS_HOST", "0.0.0.0"),
        ("CHANDLERY_METRICS_PORT", "9900"),
    }
    ports = {port["name"]: port["containerPort"] for port in container_of(objects, service)["ports"]}
    assert ports["metrics"] == 9900
    annotations = deployment(objects, service)["template"]["metadata"]["annotations"]
    told = {name: value for name, value in annotations.items() if name.startswith("prometheus.io/")}
    assert told == {"prometheus.io/scrape": "true", "prometheus.io/port": "9900", "prometheus.io/path": "/metrics"}


@pytest.mark.parametrize("service", SERVICES)
def test_policy_shuts_the_port_of_the_metrics_to_all_but_those_who_are_named(
    render: Render, required: dict[str, Any], service: str
) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    objects = render({**required, "metrics": {"enabled": True, "allowFrom": peers}})
    policy = objects["NetworkPolicy", f"demo-chandlery-{service}"]["spec"]
    assert policy["podSelector"] == deployment(objects, service)["selector"]
    *open_to_all, open_to_some = policy["ingress"]
    everything = {port["name"] for port in container_of(objects, service)["ports"]}
    assert {port["port"] for rule in open_to_all for port in rule["ports"]} == everything - {"metrics"}
    assert not [rule for rule in open_to_all if "from" in rule]
    assert (open_to_some["from"], [each["port"] for each in open_to_some["ports"]]) == (peers, ["metrics"])


def test_nothing_shows_metrics_without_being_told_to(objects: Objects) -> None:
    assert not [key for key in objects if key[0] == "NetworkPolicy"]
    assert all("CHANDLERY_METRICS_PORT" not in environment_of(objects, service) for service in SERVICES)


def test_the_gateway_service_leads_to_its_port(objects: Objects) -> None:
    [port] = objects["Service", "demo-chandlery-gateway"]["spec"]["ports"]
    assert port["targetPort"] in [entry["name"] for entry in container_of(objects, "gateway")["ports"]]


def test_every_pod_runs_a_command_that_exists(objects: Objects, project: dict[str, Any]) -> None:
    services = project["entry-points"]["chandlery.services"]
    assert {service: container_of(objects, service)["args"] for service in SERVICES} == {
        name: [name] for name in services
    }
    job = objects["Job", "demo-chandlery-migrate"]["spec"]["template"]["spec"]["containers"][0]
    assert job["args"] == ["migrate"]
    assert all("command" not in container_of(objects, service) for service in SERVICES)


def test_every_pod_has_longer_to_stop_than_its_process_takes(objects: Objects) -> None:
    shutdown_seconds = Settings.model_fields["shutdown_seconds"].default + 5
    for service in SERVICES:
        pause = int(environment_of(objects, service).get("CHANDLERY_SHUTDOWN_DELAY_SECONDS", 0))
        assert (
            deployment(objects, service)["template"]["spec"]["terminationGracePeriodSeconds"] > shutdown_seconds + pause
        )


def test_gateway_alone_serves_on_until_nobody_sends_it_requests(render: Render, required: dict[str, Any]) -> None:
    objects = render({**required, "gateway": {"shutdownDelaySeconds": 7}})
    found = {service: environment_of(objects, service).get("CHANDLERY_SHUTDOWN_DELAY_SECONDS") for service in SERVICES}
    assert found == {"gateway": "7", "provisioner": None, "binder": None, "syncer": None}


def test_every_mounted_volume_is_declared(objects: Objects) -> None:
    for spec in pod_specs(objects).values():
        for container in spec["containers"]:
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted == {volume["name"] for volume in spec.get("volumes", [])}


def test_nothing_runs_under_a_service_account_that_is_not_there(objects: Objects) -> None:
    for service in SERVICES:
        spec = deployment(objects, service)["template"]["spec"]
        assert objects["ServiceAccount", spec["serviceAccountName"]]["automountServiceAccountToken"] is False
    # The Job runs before those of the release are made.
    assert pod_specs(objects)["Job", "demo-chandlery-migrate"]["serviceAccountName"] == "default"


def test_selectors_stay_the_same_when_everything_else_changes(
    render: Render, required: dict[str, Any], chart_folder: Path, tmp_path: Path
) -> None:
    newer = tmp_path / "chandlery"
    shutil.copytree(chart_folder, newer)
    described = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^((?:appV|v)ersion: ).*$", r"\g<1>9.9.9", described))
    changed = {**required, "image": {"tag": "other"}, "podLabels": {"team": "a"}, "settings": {"logLevel": "debug"}}
    before, after = render(required), render(changed, folder=newer)
    for service in SERVICES:
        assert container_of(before, service)["image"] != container_of(after, service)["image"]
        assert deployment(before, service)["selector"] == deployment(after, service)["selector"]
