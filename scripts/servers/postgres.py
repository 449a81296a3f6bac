"""A private PostgreSQL: its own data folder, TCP on the loopback interface only, a random password.

Durability is left as a production server has it (fsync and synchronous_commit are on), so that benchmarks stay honest.
Only the pair that tests run on by default does without: its data is worth nothing, and each test makes a database.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from machine.console import MachineFault, say
from machine.places import Account, account_for, server_home
from machine.ports import LOOPBACK, free_ports
from machine.processes import launch
from servers.given import DEFAULT_PAIR
from servers.ledger import Kind, ServerRecord

_USER: Final = "chandlery"
_DATABASE: Final = "chandlery"
_INIT_SECONDS: Final = 120
_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
}


_HASTY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer:
    """The highest PostgreSQL version installed on this machine."""

    kind: Kind = "database"
    title = "PostgreSQL"
    package = "postgresql"

    def is_installed(self) -> bool:
        return _programs() is not None

    def start(self, pair: str, log: Path, *, previous: ServerRecord | None) -> ServerRecord:
        programs = _programs()
        if programs is None:
            raise MachineFault("PostgreSQL vanished while it was being started")
        # initdb and postgres refuse to run as root.
        account = account_for("postgres", "nobody")
        home = server_home(pair, "postgres", account=account)
        data = home / "data"
        reuse = previous if previous and _version_of_data(data) == _version(programs) else None
        password = reuse.password if reuse else secrets.token_hex(16)
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"}
        if reuse is None:
            _create_data(programs, data, password=password, account=account, environment=environment)
        (port,) = free_ports(1, preferred=previous.ports if previous else ())
        chosen = {**_SETTINGS, **(_HASTY if pair == DEFAULT_PAIR else {}), "port": str(port)}
        settings = [f"--{name}={value}" for name, value in chosen.items()]
        mark = launch(
            [str(programs / "postgres"), "-D", str(data), *settings],
            # "Fast shutdown": open transactions are rolled back, clients are not waited for.
            halt=signal.SIGINT,
            account=account,
            environment=environment,
            home=home,
            log=log,
        )
        url = f"postgresql+asyncpg://{_USER}:{password}@{LOOPBACK}:{port}/{_DATABASE}"
        return ServerRecord(url=url, password=password, ports=(port,), home=str(home), log=str(log), processes=(mark,))

    def answers(self, record: ServerRecord) -> bool:
        programs = _programs()
        if programs is None:
            return False
        question = [str(programs / "pg_isready"), "-q", "-t", "3", "-h", LOOPBACK, "-p", str(record.ports[0])]
        return subprocess.run(question, check=False).returncode == 0


def _create_data(
    programs: Path, data: Path, *, password: str, account: Account | None, environment: dict[str, str]
) -> None:
    """Build the data folder beside its final place, so that an interrupted run leaves nothing half-made behind."""
    say("PostgreSQL: creating an empty database")
    draft, secret = data.with_name("draft"), data.with_name("password")
    for old in (data, draft):
        shutil.rmtree(old, ignore_errors=True)
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account:
        os.chown(secret, account.uid, account.gid)
    try:
        _run(
            [str(programs / "initdb"), "-D", str(draft), "-U", _USER, f"--pwfile={secret}", "--auth=scram-sha-256",
             "--encoding=UTF8", "--locale=C", "--no-sync"],
            account=account, environment=environment,
        )  # fmt: skip
        _run(
            [str(programs / "postgres"), "--single", "-D", str(draft), "postgres"],
            account=account, environment=environment, feed=f"CREATE DATABASE {_DATABASE}\n",
        )  # fmt: skip
    finally:
        secret.unlink(missing_ok=True)
    draft.rename(data)


def _run(command: list[str], *, account: Account | None, environment: dict[str, str], feed: str = "") -> None:
    done = subprocess.run(
        command,
        input=feed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=environment["HOME"],
        env=environment,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        timeout=_INIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise MachineFault(f"{Path(command[0]).name} failed with status {done.returncode}:\n{done.stdout[-2000:]}")


def _programs() -> Path | None:
    """The folder with initdb and postgres; Debian keeps it off PATH, one folder a version."""
    candidates = set(Path("/usr/lib/postgresql").glob("*/bin"))
    if on_path := shutil.which("postgres"):
        candidates.add(Path(on_path).resolve().parent)
    complete = [folder for folder in candidates if all((folder / name).exists() for name in ("initdb", "postgres"))]
    return max(complete, key=_version, default=None)


def _version(programs: Path) -> int:
    text = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)", text)
    return int(found[1]) if found else 0


def _version_of_data(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        return None
