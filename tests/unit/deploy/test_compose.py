"""compose.yaml: complete, closed to other machines, without built-in secrets, and in settings that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chandlery.settings.settings import load_settings
from chandlery.telemetry.tracing.trace_plan import (
    DISABLED,
    ENDPOINTS,
    EXPORTER,
    OTLP,
    SAMPLER,
    SAMPLER_ARG,
    trace_plan,
)

SERVICES = {"gateway", "provisioner", "binder", "syncer"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?])?([^}]*)\}")
SECRET = {
    "POSTGRES_PASSWORD": "hexadecimal",
    "RABBITMQ_PASSWORD": "hexadecimal",
    "CHANDLERY_ENCRYPTION_KEYS": f"first:{'A' * 43}=",
    "CHANDLERY_TOKEN": "0123456789abcdef",
}


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """compose.yaml as it is written, without its comments."""
    lines = (root / "deploy/compose.yaml").read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


@pytest.fixture(scope="module")
def services(text: str) -> dict[str, dict[str, Any]]:
    """Its services, with YAML anchors resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def filled_in(value: str) -> str:
    """A value as compose gives it to the container: with the secrets above and defaults."""
    return VARIABLE.sub(lambda match: SECRET.get(match[1], match[3]), value)


def test_compose_has_all_the_parts(services: dict[str, dict[str, Any]], project: dict[str, Any]) -> None:
    assert services.keys() == SERVICES | {"postgres", "rabbitmq", "migrate", "certificate", "demo-broker"}
    assert {name: services[name]["command"] for name in SERVICES | {"migrate"}} == {
        name: [name] for name in {*project["entry-points"]["chandlery.services"], "migrate"}
    }
    assert {services[name]["image"] for name in SERVICES} == {f"chandlery:{project['version']}"}


def test_compose_builds_from_files_that_exist(root: Path, services: dict[str, dict[str, Any]]) -> None:
    built = [service["build"] for service in services.values() if "build" in service]
    assert {build["dockerfile"] for build in built} == {"deploy/Dockerfile", "deploy/demo-broker.Dockerfile"}
    assert all((root / build["dockerfile"]).is_file() and build["context"] == ".." for build in built)


def test_compose_publishes_the_gateway_alone_and_on_loopback(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert {name: [filled_in(port) for port in ports] for name, ports in published.items()} == {
        "gateway": ["127.0.0.1:8080:8080"]
    }
    assert not any(service.get("network_mode") == "host" or service.get("privileged") for service in services.values())


def test_compose_waits_only_for_what_can_happen(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            match wait["condition"]:
                case "service_healthy":
                    assert services[name]["healthcheck"]["test"][0] == "CMD"
                case "service_completed_successfully":
                    assert services[name]["restart"] == "no"
                case other:
                    pytest.fail(f"unexpected condition {other}")
    for name in SERVICES:
        assert services[name]["depends_on"].keys() >= {"migrate", "postgres", "rabbitmq"}
        assert services[name]["stop_grace_period"] == "30s"


def test_compose_checks_the_health_of_all_that_stay(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if service["restart"] == "no":
            continue
        check = service["healthcheck"]["test"]
        if check[1] == "python":
            compile(check[3], name, "exec")
            port = service.get("environment", {}).get("CHANDLERY_PROBE_PORT", "8080" if name == "gateway" else "5000")
            assert f'Connection("127.0.0.1", {port},' in check[3]


def test_compose_gives_every_process_settings_that_it_understands(
    services: dict[str, dict[str, Any]], known_settings: set[str], clean_environment: pytest.MonkeyPatch
) -> None:
    for name in SERVICES | {"migrate"}:
        environment = services[name]["environment"]
        assert {variable for variable in environment if not variable.startswith("OTEL_")} <= known_settings
        with clean_environment.context() as context:
            for variable, value in environment.items():
                assert isinstance(value, str), f"{variable} needs quotes"
                context.setenv(variable, filled_in(value))
            settings = load_settings()
        assert settings.database_url.get_secret_value() == "postgresql://chandlery:hexadecimal@postgres:5432/chandlery"
        assert settings.amqp_url.get_secret_value() == "amqp://chandlery:hexadecimal@rabbitmq:5672/"


def test_compose_hands_on_what_is_said_about_traces_and_by_itself_asks_for_none(
    services: dict[str, dict[str, Any]],
) -> None:
    for name in SERVICES:
        given = {key: value for key, value in services[name]["environment"].items() if key.startswith("OTEL_")}
        assert given == {key: f"${{{key}:-}}" for key in given}
        assert {ENDPOINTS[1], EXPORTER, SAMPLER, SAMPLER_ARG, DISABLED} <= given.keys()
        assert trace_plan(dict.fromkeys(given, "")) == trace_plan({})
        assert trace_plan(dict.fromkeys(given, "") | {ENDPOINTS[1]: "http://collector:4318"}).exporters == (OTLP,)


def test_compose_has_no_default_for_a_secret(root: Path, text: str) -> None:
    uses: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(text):
        uses.setdefault(match[1], set()).add(match[2])
    assert {name for name, operators in uses.items() if operators == {":?"}} == SECRET.keys()
    assert {name for name in uses if "PASSWORD" in name or "TOKEN" in name or "KEY" in name} == SECRET.keys()
    example = (root / "deploy/compose.env.example").read_text()
    given = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, flags=re.MULTILINE))
    assert given.keys() == uses.keys()
    assert all(given[name] == "" for name in SECRET)


def test_compose_runs_our_processes_without_privileges(services: dict[str, dict[str, Any]]) -> None:
    for name in SERVICES | {"migrate", "certificate", "demo-broker"}:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
