"""Machines without containers: the units, run as systemd would run them, on PostgreSQL and RabbitMQ.

What `install.sh` has put into a root folder is read there; the programs are those of the built wheel. Each process has
the account, environment, credentials and system calls of its unit, and tells its service manager what it has to.
"""

import http.client
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from chandlery.store.sealing.sealing import new_key
from machine.installing import install_into
from tests.e2e.stacks.programs import REPOSITORY, free_port
from tests.e2e.stacks.servers import ServerShare, remove_queues, server_share
from tests.release.packages import LOCKS, Packages
from tests.support.systemd.unit_files import read_unit
from tests.support.systemd.unit_run import UnitRun
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SERVICES: Final = ("gateway", "provisioner", "binder", "syncer")


class Machine:
    """A root folder with everything installed and filled in."""

    def __init__(self, root: Path, share: ServerShare) -> None:
        self.root = root
        self.share = share
        self.port = free_port()
        self._runs: list[UnitRun] = []

    def run(self, name: str, **overrides: str) -> UnitRun:
        # The ports that the units give may be somebody else's on a machine where tests run.
        log = self.root / f"{name}.log"
        ports = {"CHANDLERY_METRICS_PORT": str(free_port()), "CHANDLERY_PORT": str(self.port)}
        unit = read_unit(self.root, name)
        given = {port: value for port, value in ports.items() if port in unit.environment()}
        run = UnitRun(unit, log=log, overrides={**given, **overrides})
        self._runs.append(run)
        run.start()
        return run

    def close(self) -> None:
        for run in self._runs:
            run.close()


@pytest.fixture(scope="module")
def machine(packages: Packages) -> Iterator[Machine]:
    """Where the units' account can reach it; for root that is an account of its own, else whoever runs this."""
    root = Path(tempfile.mkdtemp(prefix="chandlery-machine-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        install(root, packages)
        with server_share() as share:
            fill_in(root, share)
            found = Machine(root, share)
            try:
                yield found
            finally:
                found.close()
                remove_queues(share, ["all", "unresolved"])
    finally:
        shutil.rmtree(root)


def install(root: Path, packages: Packages) -> None:
    tools = root / "tools"
    tools.mkdir()
    if os.geteuid() != 0:
        for tool in ("systemd-sysusers", "systemd-tmpfiles"):
            (tools / tool).write_text("#!/bin/sh\n")
            (tools / tool).chmod(0o755)
    environment = {"ROOT": str(root), "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run([REPOSITORY / "deploy/systemd/install.sh"], env=environment, check=True, capture_output=True)
    # As the guide has it: with the interpreter of the system, which every account can reach.
    place, interpreter = root / "opt/chandlery", "/usr/bin/python3" if os.geteuid() == 0 else sys.executable
    subprocess.run([interpreter, "-m", "venv", "--without-pip", place], check=True)
    install_into(place / "bin/python", "--no-deps", "--require-hashes", "-r", str(LOCKS / "image.txt"))
    install_into(place / "bin/python", "--no-deps", "--no-index", str(packages.wheel))
    compile_what_is_used(place)


def compile_what_is_used(place: Path) -> None:
    """pip compiles, which the guide has: processes may write nothing there, and each would do it for itself."""
    load = "from importlib.metadata import entry_points as e; [each.load() for each in e(group='chandlery.services')]"
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run([place / "bin/python", "-c", f"import asyncpg, aio_pika; {load}"], env=environment, check=True)


def fill_in(root: Path, share: ServerShare) -> None:
    """What the guide has its reader write, for servers of tests: neither has TLS, and one role does for all."""
    for service in (*SERVICES, "migrate"):
        path = root / f"etc/chandlery/secrets/{service}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        token = 'token = "0123456789abcdef"\n' if service == "gateway" else ""
        path.write_text(f'database_url = "{share.database_url}"\namqp_url = "{share.amqp_url}"\n{token}')
        path.chmod(0o600)
    wanted = root / "etc/chandlery/certificates.conf"
    wanted.write_text("gateway - DNS:localhost,IP:127.0.0.1\n")
    script, tls = root / "opt/chandlery/deploy/certificates.sh", root / "etc/chandlery/tls"
    subprocess.run([script, root / "etc/chandlery/authority", tls, wanted], check=True, capture_output=True)
    keys = root / "etc/chandlery/encryption-keys"
    keys.write_text(new_key("first") + "\n")
    env = root / "etc/chandlery/chandlery.env"
    names = f"CHANDLERY_AMQP_PREFIX={share.amqp_prefix}\nCHANDLERY_DATABASE_ROLE_PREFIX={share.role_prefix}\n"
    kept = [line for line in env.read_text().splitlines() if not line.startswith("CHANDLERY_AMQP_CA_FILE=")]
    env.write_text("\n".join(kept) + f"\n{names}")
    if os.geteuid() == 0:
        group = next(line for line in (root / "etc/group").read_text().splitlines() if line.startswith("chandlery:"))
        for path in (keys, tls / "gateway.key"):
            os.chown(path, 0, int(group.split(":")[2]))
            path.chmod(0o640)


def test_the_units_bring_a_catalog_up_tell_that_it_works_and_end_it(machine: Machine) -> None:
    migration = machine.run("chandlery-migrate.service")
    assert migration.wait() == 0, migration.log()

    processes = {name: machine.run(f"chandlery-{name}@1.service") for name in SERVICES}
    for run in processes.values():
        run.await_told("READY=1")
        run.await_told("WATCHDOG=1")
    assert status(machine, "/readyz") == 200
    if os.geteuid() == 0:
        owners = {Path(f"/proc/{run.pid}").stat().st_uid for run in processes.values()}
        assert owners == {account_of(machine)}
    secret = "0123456789abcdef"
    for run in processes.values():
        assert secret not in Path(f"/proc/{run.pid}/environ").read_text(errors="replace")
        assert "Operation not permitted" not in run.log()

    for run in processes.values():
        assert run.stop() == 0, run.log()
        assert "STOPPING=1" in run.told


def test_a_second_process_of_a_service_runs_beside_the_first(machine: Machine) -> None:
    both = [machine.run(f"chandlery-syncer@{number}.service") for number in (1, 2)]
    for run in both:
        run.await_told("READY=1")
    assert all(run.stop() == 0 for run in both)


def test_what_a_person_has_to_mend_is_said_once_and_ends_with_the_status_that_is_not_tried_again(
    machine: Machine,
) -> None:
    run = machine.run("chandlery-binder@1.service", CHANDLERY_SHUTDOWN_SECONDS="soon")
    assert run.wait() == int(read_unit(machine.root, "chandlery-binder@1.service").one("RestartPreventExitStatus"))
    assert "CHANDLERY_SHUTDOWN_SECONDS" in run.log()


def account_of(machine: Machine) -> int:
    lines = (machine.root / "etc/passwd").read_text().splitlines()
    return int(next(line.split(":")[2] for line in lines if line.startswith("chandlery:")))


def status(machine: Machine, path: str) -> int:
    """By the certificate that certificates.sh has made."""
    context = ssl.create_default_context(cafile=str(machine.root / "etc/chandlery/tls/ca.crt"))

    def look() -> int:
        connection = http.client.HTTPSConnection("localhost", machine.port, context=context, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    return wait_for(look, lambda seen: seen == 200, what=path)
