"""Installs packages into an environment: with uv, and with pip where uv cannot be had or cannot do it."""

import os
import subprocess
import sys
from pathlib import Path

from machine.console import MachineFault, say
from machine.places import REPOSITORY
from machine.uv import find_uv, uv_environment


def install_into(python: Path, *words: str) -> None:
    """What pip takes after `install`, into the environment of that interpreter, which needs no pip of its own.

    Raises:
        MachineFault: neither of them could; their own messages are on stderr.
    """
    uv = find_uv()
    if uv is not None:
        command = [str(uv), "pip", "install", "--quiet", "--python", str(python), *words]
        if subprocess.run(command, cwd=REPOSITORY, env=uv_environment(), check=False).returncode == 0:
            return
        # It reads no pip.conf, where the only index that can be reached may stand.
        say("uv could not do it; trying with pip")
    _pip(python, "install", *words)


def _pip(python: Path, *words: str) -> None:
    inside = succeeds([str(python), "-m", "pip", "--version"])
    start = [str(python), "-m", "pip"] if inside else [sys.executable, "-m", "pip", "--python", str(python)]
    command = [*start, "--disable-pip-version-check", "-qq", "--no-input", *words]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_PROGRESS_BAR": "off"}
    environment.pop("PIP_USER", None)
    status = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
    if status != 0:
        raise MachineFault(f"{' '.join(command[1:4])} … failed with status {status}; its own message is above")


def succeeds(command: list[str]) -> bool:
    """Whether a command is there and ends with status 0; what it says is thrown away."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
