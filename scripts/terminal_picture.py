"""Types a few commands of the walk-through, for real, and writes what a terminal shows of it into a picture.

    terminal_picture.py [FILE]

Run by `make terminal-picture`, which writes `docs/terminal.svg` for the README.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from kubectl_cache import any_kubectl
from machine.console import MachineFault, run_command, say
from machine.places import REPOSITORY
from machine.ports import LOOPBACK
from walkthrough.pictured import COMMANDS, WAITS, Typed, picture
from walkthrough.servers import chandlery_up, clean_environment, demo_broker
from walkthrough.tour import copy_manifests

_SECONDS: Final = 90


def main(arguments: list[str] | None = None) -> int:
    """Run it and write the picture. Raises MachineFault if a command fails."""
    parser = argparse.ArgumentParser(description="Writes a picture of the walk-through.")
    parser.add_argument("file", nargs="?", type=Path, default=REPOSITORY / "docs" / "terminal.svg")
    file = parser.parse_args(arguments).file
    with tempfile.TemporaryDirectory(prefix="chandlery-picture-") as name:
        folder = Path(name)
        with demo_broker(folder) as broker, chandlery_up(folder) as gateway:
            gateway.await_answer("/readyz")
            copy_manifests(folder, broker_url=f"http://{LOOPBACK}:{broker.port}")
            (folder / "kubectl").symlink_to(any_kubectl())
            session = [_typed(folder, command) for command in COMMANDS]
    file.write_text(picture(session))
    say(f"the picture is in {file}")
    return 0


def _typed(folder: Path, command: str) -> Typed:
    printed = _run(folder, command)
    if subject := WAITS.get(command):
        _run(folder, f"kubectl wait --for=condition=Ready {subject} --timeout=60s")
    return Typed(command, printed)


def _run(folder: Path, command: str) -> str:
    environment = clean_environment(
        HOME=str(folder), KUBECONFIG=str(folder / "data" / "kubeconfig"), PATH=f"{folder}:{os.environ['PATH']}"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise MachineFault(f"`{command}` failed with status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    run_command(main)
