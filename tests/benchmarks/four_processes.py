"""Starts the services as processes on given servers, with TLS-less gateways on loopback; ends them again."""

import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    trust: ssl.SSLContext | None = None
    """What the certificate of an HTTPS gateway is held against."""
    start_seconds: float = 0.0
    """From the launch of the first process until all were ready."""

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
    command: str = COMMAND,
) -> Iterator[Stack]:
    """Migrate, start, wait until all are ready; on the way out terminate and report who did not end cleanly.

    `ports` has the name and the port of each process: of its API for a gateway, of its probes for another. Replicas are
    called `gateway-2`, `binder-3`. `settings` are further environment variables. `command` is another revision's.
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
        subprocess.run([command, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        started = time.perf_counter()
        for name, port in ports.items():
            service = name.partition("-")[0]
            listens = {f"CHANDLERY_{'' if service == 'gateway' else 'PROBE_'}PORT": str(port)}
            with (logs / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    [command, service], env=environment | listens, stderr=log, stdout=log
                )
        urls = tuple(f"http://127.0.0.1:{port}" for name, port in ports.items() if name.startswith("gateway"))
        stack = Stack(urls, token, processes, logs, are_logs_read)
        try:
            for name, port in ports.items():
                await_ready(stack, name, f"http://127.0.0.1:{port}/readyz")
            yield replace(stack, start_seconds=time.perf_counter() - started)
        finally:
            end_all(processes, logs, are_logs_read=are_logs_read)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_ready(stack: Stack, name: str, url: str, *, seconds: float = 30) -> None:
    """Ask the process whether it is ready, until it is; raises SystemExit with its last words."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stack.processes[name].poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2, context=stack.trust):
            return
        time.sleep(0.01)
    raise SystemExit(f"{name} did not become ready:\n{(stack.logs / f'{name}.log').read_text()[-2000:]}")


def end_all(processes: Mapping[str, "subprocess.Popen[bytes]"], logs: Path, *, are_logs_read: bool) -> None:
    """Terminate, wait, and show the log of each that did not end cleanly or had something to complain of."""
    for process in processes.values():
        process.terminate()
    for name, process in processes.items():
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log = (logs / f"{name}.log").read_text()
        if process.returncode or (log and are_logs_read):
            print(f"--- {name} ended with {process.returncode}; its log:\n{log[-3000:]}", file=sys.stderr)
