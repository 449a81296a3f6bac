"""The walk-through on this machine, as `make demo` shows it: no root rights, no servers, nothing left behind.

Starts the example broker and `chandlery up` on free ports with a temporary folder, and types what a user would type.
"""

import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final

from kubectl_cache import any_kubectl
from machine.console import MachineFault, run_command
from machine.ports import LOOPBACK
from walkthrough.servers import Server, chandlery_up, clean_environment, demo_broker
from walkthrough.terminal import Terminal, say_progress
from walkthrough.tour import copy_manifests, make_tour

_WHAT_TO_DO: Final = "`make clean` and then `make demo` begins anew; if it fails again, please report what is above"
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the walk-through; 0 if every command did what it should."""
    begun = time.monotonic()
    for number in _ENDING:
        signal.signal(number, _interrupt)
    kubectl = any_kubectl()
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="chandlery-demo-") as name, ExitStack() as running:
        folder = Path(name)
        try:
            commands = _walk(folder, kubectl, servers=servers, running=running)
        except MachineFault as fault:
            _show_logs(servers)
            raise MachineFault(f"{fault}\n{_WHAT_TO_DO}") from fault
    seconds = time.monotonic() - begun
    print(f"\nDone: {commands} commands, everything created was deleted again, {seconds:.1f} s.", flush=True)
    return 0


def _walk(folder: Path, kubectl: Path, *, servers: list[Server], running: ExitStack) -> int:
    broker, gateway = demo_broker(folder), chandlery_up(folder)
    for server in (broker, gateway):
        say_progress(f"starting {server.name}")
        servers.append(server)
        running.enter_context(server)
    gateway.await_answer("/readyz")
    say_progress(f"the demo broker listens on http://{LOOPBACK}:{broker.port}")
    say_progress(f"chandlery listens on https://{LOOPBACK}:{gateway.port}, its API is described at /docs")
    copy_manifests(folder, broker_url=f"http://{LOOPBACK}:{broker.port}")
    # kubectl keeps what it learns about a server in the home folder, by host and port: not in the user's.
    environment = clean_environment(HOME=str(folder), KUBECONFIG=str(folder / "data" / "kubeconfig"))
    terminal = Terminal(folder=folder, programs={"kubectl": kubectl}, environment=environment)
    make_tour(terminal)
    return terminal.commands


def _show_logs(servers: list[Server]) -> None:
    sys.stdout.flush()
    for server in servers:
        print(f"\n--- the last lines of {server.name}:\n{server.tail()}", file=sys.stderr)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second one must not keep us from ending what we started.
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    run_command(main)
