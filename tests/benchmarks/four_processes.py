"""Starts the services as processes on given servers, with TLS-less gateways on loopback; ends them again."""

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from chandlery.reconcile.egress.egress_rules import LOOPBACK
from chandlery.store.sealing.sealing import new_key

SERVICES = ("gateway", "provisioner", "binder", "syncer")
COMMAND = str(Path(sys.executable).with_name("chandlery"))


@dataclass(frozen=True)
class Stack:
    """The running services."""

    urls: tuple[str, ...]
    """Of the gateways."""
    token: str
    processes: dict[str, "subprocess.Popen[bytes]"]
    logs: Path
    are_logs_read: bool = True
    """Whether any line is worth a look, since only warnings are logged."""

    @property
    def url(self) -> str:
        """Of the first gateway."""
        return self.urls[0]


@contextlib.contextmanager
def four_processes(
    *,
    database_url: str,
    amqp_url: str,
    ports: Mapping[str, int],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Stack]:
    """Migrate, start, wait until all are ready; on the way out terminate and report who did not end cleanly.

    `ports` has the name and the port of each process: of its API for a gateway, of its probes for another. Replicas are
    called `gateway-2`, `binder-3`. `settings` are further environment variables.
    """
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="chandlery-bench-") as folder:
        logs = Path(folder)
        shared = {
            "CHANDLERY_DATABASE_URL": database_url,
            "CHANDLERY_AMQP_URL": amqp_url,
            "CHANDLERY_AMQP_PREFIX": f"bench-{secrets.token_hex(4)}-",
            "CHANDLERY_ENCRYPTION_KEYS": new_key("bench"),
            "CHANDLERY_TOKEN": token,
            "CHANDLERY_LOG_LEVEL": "warning",
            "CHANDLERY_BROKER_TRUSTED_NETWORKS": LOOPBACK,
        }
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CHANDLERY_")}
        environment |= shared | dict(settings)
        are_logs_read = environment["CHANDLERY_LOG_LEVEL"] != "info"
        subprocess.run([COMMAND, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
        processes = {}
        for name, port in ports.items():
            service = name.partition("-")[0]
            listens = {f"CHANDLERY_{'' if service == 'gateway' else 'PROBE_'}PORT": str(port)}
            with (logs / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    [COMMAND, service], env=environment | listens, stderr=log, stdout=log
                )
        urls = tuple(f"http://127.0.0.1:{port}" for name, port in ports.items() if name.startswith("gateway"))
        stack = Stack(urls, token, processes, logs, are_logs_read)
        try:
            for name, port in ports.items():
                _await_ready(stack, name, port)
            yield stack
        finally:
            _end(stack)


def _await_ready(stack: Stack, name: str, port: int, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stack.processes[name].poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return
        time.sleep(0.05)
    raise SystemExit(f"{name} did not become ready:\n{(stack.logs / f'{name}.log').read_text()[-2000:]}")


def _end(stack: Stack) -> None:
    for process in stack.processes.values():
        process.terminate()
    for name, process in stack.processes.items():
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log = (stack.logs / f"{name}.log").read_text()
        if process.returncode or (log and stack.are_logs_read):
            print(f"--- {name} ended with {process.returncode}; its log:\n{log[-3000:]}", file=sys.stderr)
