"""Starts the four services as processes on given servers, with a TLS-less gateway on loopback; ends them again."""

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

from chandlery.store.sealing import new_key

SERVICES = ("gateway", "provisioner", "binder", "syncer")
COMMAND = str(Path(sys.executable).with_name("chandlery"))


@dataclass(frozen=True)
class Stack:
    """Four running services."""

    url: str
    token: str
    processes: dict[str, "subprocess.Popen[bytes]"]
    logs: Path


@contextlib.contextmanager
def four_processes(
    *,
    database_url: str,
    amqp_url: str,
    port: int,
    probe_ports: dict[str, int],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Stack]:
    """Migrate, start, wait until all are ready; on the way out terminate and report who did not end cleanly.

    `settings` are further environment variables.
    """
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="chandlery-bench-") as folder:
        logs = Path(folder)
        own = {
            "CHANDLERY_DATABASE_URL": database_url,
            "CHANDLERY_AMQP_URL": amqp_url,
            "CHANDLERY_AMQP_PREFIX": f"bench-{secrets.token_hex(4)}-",
            "CHANDLERY_ENCRYPTION_KEYS": new_key("bench"),
            "CHANDLERY_TOKEN": token,
            "CHANDLERY_PORT": str(port),
            "CHANDLERY_LOG_LEVEL": "warning",
        }
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CHANDLERY_")}
        environment |= own | dict(settings)
        subprocess.run([COMMAND, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
        processes = {}
        for name in SERVICES:
            probe = {"CHANDLERY_PROBE_PORT": str(probe_ports[name])} if name in probe_ports else {}
            with (logs / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen([COMMAND, name], env=environment | probe, stderr=log, stdout=log)
        stack = Stack(f"http://127.0.0.1:{port}", token, processes, logs)
        try:
            for name in SERVICES:
                _await_ready(stack, name, probe_ports.get(name, port))
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
        if process.returncode or log:
            print(f"--- {name} ended with {process.returncode}; its log:\n{log[-3000:]}", file=sys.stderr)
