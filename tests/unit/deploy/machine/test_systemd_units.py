"""The units of deploy/systemd: systemd understands them, they are confined, and their figures fit the settings."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chandlery.settings.settings import load_settings
from tests.support.systemd.unit_files import UNITS, Unit, read_unit
from tests.support.systemd.unit_run import allowed_calls

SERVICES = ("gateway", "provisioner", "binder", "syncer")
PROCESSES = tuple(f"chandlery-{name}@1.service" for name in SERVICES)
ONESHOTS = ("chandlery-migrate.service", "chandlery-backup.service", "chandlery-certificates.service")
ALL = (*PROCESSES, *ONESHOTS)
TIMERS = ("chandlery-backup.timer", "chandlery-certificates.timer")
MOST_EXPOSED = 2.0
GIVING_BACK_SECONDS = 5
SPARE_SECONDS = 10


@pytest.fixture(scope="module")
def machine(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder in which install.sh has put everything; what it asks systemd for is written down."""
    folder, tools = tmp_path_factory.mktemp("machine"), tmp_path_factory.mktemp("tools")
    for tool in ("systemd-sysusers", "systemd-tmpfiles"):
        (tools / tool).write_text(f'#!/bin/sh\necho {tool} "$@" >> "{folder}/asked"\n')
        (tools / tool).chmod(0o755)
    run_install(root, folder, tools)
    program = folder / "opt/chandlery/bin/chandlery"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return folder


def run_install(root: Path, folder: Path, tools: Path) -> None:
    environment = {"ROOT": str(folder), "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run([root / "deploy/systemd/install.sh"], env=environment, check=True, capture_output=True)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_to_complain_of(machine: Path) -> None:
    verified = analyze(
        "verify", f"--root={machine}", "--man=no", "--recursive-errors=no", *ALL, *TIMERS, "chandlery.target"
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_systemd_complains_of_what_it_does_not_know(machine: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.service"
    wrong.write_text("[Service]\nExecStart=/bin/true\nProtectEverything=yes\n")
    assert "ProtectEverything" in analyze("verify", "--man=no", str(wrong)).stderr


@pytest.mark.parametrize("name", ALL)
def test_units_are_exposed_to_little(machine: Path, name: str) -> None:
    said = analyze("security", "--offline=true", f"--root={machine}", name).stdout
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said)
    assert found is not None, said
    # The one that writes keys for other accounts has a few rights of root.
    assert float(found[1]) <= (3.5 if "certificates" in name else MOST_EXPOSED)


@pytest.mark.parametrize(("name", "unit"), list(zip(SERVICES, PROCESSES, strict=True)), ids=SERVICES)
def test_a_unit_runs_its_service_with_a_file_of_secrets_of_its_own(machine: Path, name: str, unit: str) -> None:
    found = read_unit(machine, unit)
    assert found.command() == [f"{machine}/opt/chandlery/bin/chandlery", name]
    assert found.credentials() == {"settings.toml": machine / f"etc/chandlery/secrets/{name}.toml"}
    assert found.environment()["CHANDLERY_CONFIG_FILE"] == f"{found.credentials_folder}/settings.toml"
    assert (found.one("User"), found.one("Type"), found.one("Restart")) == ("chandlery", "notify", "always")
    # What a person has to mend is not tried again: see docs/operations.md.
    assert found.one("RestartPreventExitStatus") == "2"


def test_all_settings_of_the_units_are_known_and_have_no_secret(
    machine: Path, known_settings: set[str], clean_environment: pytest.MonkeyPatch
) -> None:
    secret = {"CHANDLERY_DATABASE_URL", "CHANDLERY_AMQP_URL", "CHANDLERY_TOKEN", "CHANDLERY_ENCRYPTION_KEYS"}
    for name in PROCESSES:
        given = {
            key: value for key, value in read_unit(machine, name).environment().items() if key.startswith("CHANDLERY_")
        }
        assert given.keys() <= known_settings - secret
        del given["CHANDLERY_CONFIG_FILE"]
        with clean_environment.context() as context:
            for key, value in given.items():
                context.setenv(key, value)
            load_settings()
    commented = re.findall(r"^#(CHANDLERY_\w+)=", (machine / "etc/chandlery/chandlery.env").read_text(), re.MULTILINE)
    assert commented
    assert set(commented) <= known_settings


def test_a_demo_broker_on_this_machine_opens_it_to_no_broker_of_a_namespace(root: Path, machine: Path) -> None:
    """PostgreSQL, RabbitMQ and the metrics are there."""
    guide = (root / "docs/production.md").read_text()
    [allowed] = re.findall(r"^echo CHANDLERY_BROKER_TRUSTED_NETWORKS=(\S+) ", guide, re.MULTILINE)
    denied = read_unit(machine, PROCESSES[1]).environment()["CHANDLERY_TENANT_BROKER_DENY"].split(",")
    assert set(allowed.split(",")) <= set(denied)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_given_the_time_to_stop_that_its_settings_ask_for(machine: Path, name: str) -> None:
    unit = read_unit(machine, name)
    given = unit.environment()
    asked = float(given["CHANDLERY_SHUTDOWN_DELAY_SECONDS"]) + float(given["CHANDLERY_SHUTDOWN_SECONDS"])
    assert unit.seconds("TimeoutStopSec") >= asked + GIVING_BACK_SECONDS + SPARE_SECONDS
    assert unit.one("TimeoutStartSec") == "infinity"


def test_processes_beside_each_other_have_ports_of_their_own(machine: Path) -> None:
    units = [read_unit(machine, f"chandlery-{name}@{number}.service") for name in SERVICES for number in (1, 2, 9)]
    metrics = [unit.environment()["CHANDLERY_METRICS_PORT"] for unit in units]
    apis = [unit.environment()["CHANDLERY_PORT"] for unit in units if "CHANDLERY_PORT" in unit.environment()]
    ports = [*metrics, *apis]
    assert len(set(ports)) == len(ports) == 15
    scraped = re.findall(r"127\.0\.0\.1:(\d+)", (machine / "opt/chandlery/deploy/prometheus.yml").read_text())
    assert scraped == metrics[::3]


def test_ordinary_calls_are_allowed_and_those_of_administrators_are_not(machine: Path) -> None:
    calls = allowed_calls(read_unit(machine, PROCESSES[0]))
    assert {"read", "epoll_wait", "sendto", "setrlimit", "clone3"} <= calls
    assert calls.isdisjoint({"chown", "setuid", "mount", "reboot", "init_module", "ptrace"})
    assert "chown" in allowed_calls(read_unit(machine, "chandlery-certificates.service"))


def test_dumps_of_the_whole_database_can_be_seen_by_who_makes_them_alone(machine: Path) -> None:
    """Each service has a database role of its own, and in a dump would find what the others may read."""
    for name in (*PROCESSES, "chandlery-migrate.service", "chandlery-certificates.service"):
        assert "-/var/backups/chandlery" in read_unit(machine, name).all("InaccessiblePaths"), name
    unit = read_unit(machine, "chandlery-backup.service")
    assert (unit.all("InaccessiblePaths"), unit.all("ReadWritePaths")) == ([], ["/var/backups/chandlery"])


def test_nothing_starts_a_migration_by_itself(machine: Path) -> None:
    units = [path.read_text() for path in (machine / UNITS).glob("*") if path.is_file()]
    assert not any(re.search(r"^(Wants|Requires|WantedBy)=.*migrate", text, re.MULTILINE) for text in units)
    unit = read_unit(machine, "chandlery-migrate.service")
    assert unit.command()[1:] == ["migrate", "--roles", "--timeout", "600"]


def test_the_target_takes_all_processes_along(machine: Path) -> None:
    for name in PROCESSES:
        unit = read_unit(machine, name)
        assert (unit.one("PartOf"), unit.one("WantedBy")) == ("chandlery.target", "chandlery.target")
    assert read_unit(machine, "chandlery.target").one("WantedBy") == "multi-user.target"


def lines_of(unit: Unit) -> Iterator[str]:
    yield from unit.all("ReadWritePaths")


def test_a_second_install_leaves_what_was_filled_in(root: Path, machine: Path, tmp_path: Path) -> None:
    ours = machine / "etc/chandlery/chandlery.env"
    before = ours.read_text()
    ours.write_text("CHANDLERY_LOG_LEVEL=debug\n")
    for tool in ("systemd-sysusers", "systemd-tmpfiles"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    run_install(root, machine, tmp_path)
    assert ours.read_text() == "CHANDLERY_LOG_LEVEL=debug\n"
    ours.write_text(before)


def test_account_and_folders_are_systemds_to_make(machine: Path) -> None:
    assert (machine / "asked").read_text().splitlines() == [
        f"systemd-sysusers --root={machine} chandlery.conf",
        f"systemd-tmpfiles --create --root={machine} chandlery.conf",
    ]
    dry = subprocess.run(
        ["systemd-sysusers", "--dry-run", f"--root={machine}", "chandlery.conf"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "user 'chandlery'" in dry.stderr + dry.stdout
    folders = dict(
        re.findall(r"^d (\S+)\s+(\d+)", (machine / "usr/lib/tmpfiles.d/chandlery.conf").read_text(), re.MULTILINE)
    )
    written = {place for name in ALL for line in lines_of(read_unit(machine, name)) for place in line.split()}
    assert written <= folders.keys()
    assert folders["/etc/chandlery/secrets"] == folders["/etc/chandlery/authority"] == "0700"


def test_what_units_run_is_where_they_look_for_it(machine: Path) -> None:
    for name in ALL:
        program = read_unit(machine, name).command()[0]
        assert os.access(program, os.X_OK), program


def test_each_page_that_units_name_is_installed(machine: Path) -> None:
    named: set[Any] = {read_unit(machine, name).one("Documentation") for name in ALL}
    assert named == {"file:/opt/chandlery/docs/production.md"}
    assert (machine / "opt/chandlery/docs/production.md").is_file()
