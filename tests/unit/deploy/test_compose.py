"""compose.yaml: complete, closed to other machines, without built-in secrets, and in settings that exist."""

import json
import re
import stat
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
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
COMPOSE_FILES = ("compose.yaml", "compose.cluster.yaml")
ONCE = {"migrate", "backup-folder"}
OURS = SERVICES | {"migrate", "certificates", "demo-broker"}


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
    """A value as compose gives it to the container: with defaults."""
    return VARIABLE.sub(lambda match: match[3], value)


@pytest.fixture(scope="module")
def secrets(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What compose-secrets.sh makes."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([root / "deploy/compose-secrets.sh", folder], check=True, capture_output=True)
    return folder


def test_compose_has_all_the_parts(services: dict[str, dict[str, Any]], project: dict[str, Any]) -> None:
    assert services.keys() == OURS | {"postgres", "rabbitmq", "backup", "backup-folder"}
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
    assert {name for name, service in services.items() if service["restart"] == "no"} == ONCE


def test_compose_gives_every_process_settings_that_it_understands(
    services: dict[str, dict[str, Any]],
    secrets: Path,
    known_settings: set[str],
    clean_environment: pytest.MonkeyPatch,
) -> None:
    for name in SERVICES | {"migrate"}:
        environment = services[name]["environment"]
        [secret] = services[name]["secrets"]
        assert environment["CHANDLERY_CONFIG_FILE"] == f"/run/secrets/{secret['target']}"
        assert {variable for variable in environment if not variable.startswith("OTEL_")} <= known_settings
        with clean_environment.context() as context:
            for variable, value in environment.items():
                assert isinstance(value, str), f"{variable} needs quotes"
                context.setenv(variable, filled_in(value))
            context.setenv("CHANDLERY_CONFIG_FILE", str(secrets / f"{secret['source']}.toml"))
            settings = load_settings()
        password = (secrets / "postgres-password").read_text()
        assert settings.database_url.get_secret_value() == f"postgresql://chandlery:{password}@postgres:5432/chandlery"
        assert settings.amqp_url.get_secret_value().endswith("@rabbitmq:5672/")
        # Only who lets users in has to know the administrator's token.
        assert (settings.token is not None) == (name == "gateway")


def test_compose_hands_on_what_is_said_about_traces_and_by_itself_asks_for_none(
    services: dict[str, dict[str, Any]],
) -> None:
    for name in SERVICES:
        given = {key: value for key, value in services[name]["environment"].items() if key.startswith("OTEL_")}
        assert given == {key: f"${{{key}:-}}" for key in given}
        assert {ENDPOINTS[1], EXPORTER, SAMPLER, SAMPLER_ARG, DISABLED} <= given.keys()
        assert trace_plan(dict.fromkeys(given, "")) == trace_plan({})
        assert trace_plan(dict.fromkeys(given, "") | {ENDPOINTS[1]: "http://collector:4318"}).exporters == (OTLP,)


def test_compose_has_no_default_for_a_secret(root: Path, text: str, services: dict[str, dict[str, Any]]) -> None:
    """Nor any secret in an environment, where whoever may inspect a container would see it: all are files."""
    uses = {match[1] for match in VARIABLE.finditer(text)}
    assert not any(word in name for name in uses for word in ("PASSWORD", "TOKEN", "KEY"))
    for service in services.values():
        named = {name for name in service.get("environment", {}) if re.search("PASSWORD|TOKEN|KEYS|_URL", name)}
        assert named <= {"POSTGRES_PASSWORD_FILE"}
    example = (root / "deploy/compose.env.example").read_text()
    assert dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, flags=re.MULTILINE)).keys() == uses


def test_secrets_are_made_once_and_only_their_owner_gets_at_them(root: Path, secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run([root / "deploy/compose-secrets.sh", secrets], capture_output=True, text=True, check=True)
    assert "is there already" in again.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    assert "secrets/" in (root / "deploy/.gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_compose_keeps_to_the_specification(root: Path, name: str) -> None:
    text = (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text()
    document = yaml.safe_load((root / "deploy" / name).read_text())
    jsonschema.Draft7Validator(json.loads(text)).validate(document)


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_nothing_in_compose_takes_all_of_the_machine(root: Path, name: str) -> None:
    for service in yaml.safe_load((root / "deploy" / name).read_text())["services"].values():
        assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_compose_mounts_files_that_are_there(root: Path, secrets: Path, name: str) -> None:
    document = yaml.safe_load((root / "deploy" / name).read_text())
    mounts = [mount for service in document["services"].values() for mount in service.get("volumes", ())]
    for source, *_ in (mount.split(":") for mount in mounts):
        known = (root / "deploy" / source).is_file() if source.startswith("./") else True
        assert known, source
    made = {path.name for path in secrets.iterdir()}
    assert {Path(secret["file"]).name for secret in document["secrets"].values()} <= made


def test_three_nodes_of_rabbitmq_know_each_other_and_are_known(root: Path, secrets: Path) -> None:
    document = yaml.safe_load((root / "deploy/compose.cluster.yaml").read_text())
    nodes = {"rabbitmq", "rabbitmq-2", "rabbitmq-3"}
    assert document["services"].keys() == nodes
    configured = (root / "deploy/compose.cluster.conf").read_text()
    assert set(re.findall(r"= rabbit@(\S+)", configured)) == nodes
    for service in ("gateway", "worker"):
        settings = tomllib.loads((secrets / Path(document["secrets"][service]["file"]).name).read_text())
        assert {url.rpartition("@")[2] for url in settings["amqp_url"].split(",")} == {f"{n}:5672/" for n in nodes}


def test_rabbitmq_stops_taking_messages_before_its_container_is_ended(root: Path) -> None:
    """It goes by the memory of the machine, if it is not told, and by a billion of files that it may open."""
    limits = (root / "deploy/compose.rabbitmq.conf").read_text()
    told = re.search(r"^vm_memory_high_watermark\.absolute = (\d+)MiB$", limits, re.MULTILINE)
    assert told is not None
    for name in COMPOSE_FILES:
        services = yaml.safe_load((root / "deploy" / name).read_text())["services"]
        nodes = [service for service in services.values() if service.get("image", "").startswith("rabbitmq:")]
        assert nodes
        for node in nodes:
            assert node["deploy"]["resources"]["limits"]["memory"] == "1G"
            assert int(told[1]) / 1024 < 0.5
            assert "./compose.rabbitmq.conf:/etc/rabbitmq/conf.d/40-limits.conf:ro" in node["volumes"]
            assert node["ulimits"] == {"nofile": 65536}


def test_the_certificate_that_compose_keeps_is_the_one_that_the_gateway_reads(
    root: Path, services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    *_, every, seconds = services["certificates"]["command"]
    assert (every, int(seconds) < 86400) == ("--every", True)
    wanted = root / "deploy/compose.certificates.conf"
    subprocess.run([root / "deploy/certificates.sh", tmp_path / "authority", tmp_path / "tls", wanted], check=True)
    environment = services["gateway"]["environment"]
    for variable in ("CHANDLERY_TLS_CERT_FILE", "CHANDLERY_TLS_KEY_FILE"):
        assert (tmp_path / "tls" / Path(environment[variable]).name).is_file()


def test_compose_runs_our_processes_without_privileges(services: dict[str, dict[str, Any]]) -> None:
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
