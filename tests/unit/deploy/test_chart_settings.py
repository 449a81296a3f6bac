"""Settings and secrets in the chart: they arrive where they belong, and nowhere else."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest

from chandlery.settings.settings import load_settings
from chandlery_gateway.trust.cluster_settings import check_cluster_settings

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

SERVICES = ("gateway", "provisioner", "binder", "syncer")
PODS = [("Deployment", f"demo-chandlery-{service}") for service in SERVICES] + [("Job", "demo-chandlery-migrate")]


def decoded(objects: Objects, name: str) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in objects["Secret", name]["data"].items()}


def environment_of(objects: Objects, pod: tuple[str, str]) -> dict[str, str]:
    """What the process would find in its environment."""
    container = objects[pod]["spec"]["template"]["spec"]["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= objects["ConfigMap", source["configMapRef"]["name"]]["data"]
    for entry in container["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        found[entry["name"]] = decoded(objects, reference["name"])[reference["key"]] if reference else entry["value"]
    return found


@pytest.mark.parametrize("pod", PODS, ids=[name for _, name in PODS])
def test_every_process_understands_its_environment(
    render: Render,
    required: dict[str, Any],
    known_settings: set[str],
    clean_environment: pytest.MonkeyPatch,
    *,
    pod: tuple[str, str],
) -> None:
    extra = {"clusterId": "c-1", "brokerConcurrency": 2_000_000, "extra": {"CHANDLERY_SHUTDOWN_SECONDS": "10"}}
    objects = render({**required, "settings": extra, "gateway": {"tls": {"secretName": "tls"}}})
    environment = environment_of(objects, pod)
    assert environment.keys() <= known_settings
    for name, value in environment.items():
        clean_environment.setenv(name, value)
    settings = load_settings()
    assert settings.database_url.get_secret_value() == required["database"]["url"]
    if pod[0] == "Deployment":
        assert settings.amqp_url.get_secret_value() == required["amqp"]["url"]
        assert settings.encryption_keys.get_secret_value() == ",".join(required["encryption"]["keys"])
        assert (settings.cluster_id, settings.broker_concurrency, settings.shutdown_seconds) == ("c-1", 2_000_000, 10)


@pytest.mark.parametrize("source", ["self", "certManager"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_process_understands_that_it_is_a_part_of_a_cluster(
    render: Render, in_cluster: dict[str, Any], clean_environment: pytest.MonkeyPatch, *, service: str, source: str
) -> None:
    objects = render({**in_cluster, "kubernetes": {"servingCertificate": {"source": source}}})
    for name, value in environment_of(objects, ("Deployment", f"demo-chandlery-{service}")).items():
        clean_environment.setenv(name, value)
    settings = load_settings()
    assert settings.platform == "kubernetes"
    if service == "gateway":
        check_cluster_settings(settings)
        assert (settings.serving_cert_secret is None) == (source == "certManager")


def test_the_token_file_has_a_line_for_each_token(render: Render, required: dict[str, Any]) -> None:
    objects = render(required)
    rows = list(csv.reader(io.StringIO(decoded(objects, "demo-chandlery")["tokens.csv"])))
    assert rows == [
        ["SesameAdministrator", "admin", "admin", "system:masters,operators"],
        ["SesameDeveloper:+/=#1", "dev@example.com", "17", ""],
    ]
    spec = objects["Deployment", "demo-chandlery-gateway"]["spec"]["template"]["spec"]
    [volume] = [volume["secret"] for volume in spec["volumes"] if volume["name"] == "tokens"]
    [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "tokens"]
    environment = environment_of(objects, ("Deployment", "demo-chandlery-gateway"))
    assert environment["CHANDLERY_TOKEN_FILE"] == f"{mount['mountPath']}/{volume['items'][0]['path']}"


def test_nothing_secret_is_outside_of_a_secret(
    render: Render, required: dict[str, Any], chart_folder: Path, secret_values: list[str]
) -> None:
    objects = render(required)
    for (kind, name), body in objects.items():
        open_part = {key: value for key, value in body.items() if kind != "Secret" or key != "data"}
        text = json.dumps(open_part)
        assert not any(secret in text for secret in secret_values), f"{kind} {name}"
    with helm_python.Chart.load(chart_folder) as chart:
        notes = chart.render(required, name="demo")["chandlery/templates/NOTES.txt"]
    assert "demo-chandlery-gateway" in notes
    assert not any(secret in notes for secret in secret_values)


def test_the_migration_needs_nothing_that_comes_after_it(render: Render, required: dict[str, Any]) -> None:
    objects = render(required)
    hook = objects["Job", "demo-chandlery-migrate"]
    spec = hook["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert "envFrom" not in container
    assert not [volume for volume in spec["volumes"] if "emptyDir" not in volume]
    names = {entry["valueFrom"]["secretKeyRef"]["name"] for entry in container["env"] if "valueFrom" in entry}
    for name in names:
        notes = objects["Secret", name]["metadata"]["annotations"]
        own = hook["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == own["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(notes["helm.sh/hook-weight"]) < int(own["helm.sh/hook-weight"])
        # It must be gone, or made anew, before the next upgrade, which may bring another password.
        assert "before-hook-creation" in notes["helm.sh/hook-delete-policy"]
        assert decoded(objects, name) == {"database-url": required["database"]["url"]}


@pytest.mark.parametrize(
    ("change", "rolled"),
    [
        ({}, ()),
        ({"gateway": {"service": {"port": 9090}}}, ()),
        ({"settings": {"logLevel": "debug"}}, SERVICES),
        ({"settings": {"logLevels": {"chandlery.osb": "debug"}}}, ()),
        ({"database": {"url": "postgresql://chandlery:other@postgresql.example.com/chandlery"}}, SERVICES),
        ({"auth": {"tokens": [{"token": "another-one-0123456789", "user": "admin"}]}}, ("gateway",)),
    ],
    ids=["nothing", "service-port", "log-level", "levels-of-modules", "database-url", "tokens"],
)
def test_pods_roll_when_what_they_read_changes(
    render: Render, required: dict[str, Any], *, change: dict[str, Any], rolled: tuple[str, ...]
) -> None:
    before, after = render(required), render({**required, **change})
    names = {service: ("Deployment", f"demo-chandlery-{service}") for service in SERVICES}
    changed = [service for service in SERVICES if before[names[service]] != after[names[service]]]
    assert tuple(changed) == rolled
