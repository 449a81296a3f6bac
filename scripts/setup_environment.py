"""Makes `.venv` ready: created if need be, requirements installed by hash, this checkout installed in editable form.

Run by `make setup`, which passes the stamp file to touch at the end.
"""

import configparser
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, run_command, say
from machine.debian import install
from machine.places import REPOSITORY

_VENV: Final = REPOSITORY / ".venv"
_PYTHON: Final = _VENV / "bin" / "python"
_LOCK: Final = REPOSITORY / "requirements" / "dev.txt"
_OLDEST: Final = (3, 11)


def main() -> int:
    """Bring `.venv` up to date with the lock and touch the stamp named on the command line."""
    if sys.version_info < _OLDEST:
        raise MissingSoftwareFault("Python 3.11 or newer is needed; name it with `make PYTHON=/path/to/python3.11 …`")
    began = time.monotonic()
    if not _is_ours():
        say(f"creating .venv with Python {'.'.join(map(str, sys.version_info[:3]))}")
        shutil.rmtree(_VENV, ignore_errors=True)
        _create()
    count = sum(1 for line in _LOCK.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))
    say(f"installing the {count} locked packages, about half a minute the first time")
    _pip("install", "--require-hashes", "-r", str(_LOCK))
    say("installing this checkout in editable form")
    _pip("install", "--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    for stamp in sys.argv[1:]:
        Path(stamp).touch()
    say(f"environment ready in {time.monotonic() - began:.0f} s")
    return 0


def _is_ours() -> bool:
    """Whether a usable environment was made in this very place; the scripts of a copied one run the original's code."""
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read_string("[venv]\n" + (_VENV / "pyvenv.cfg").read_text())
    except (OSError, configparser.Error):
        return False
    made_as = settings["venv"].get("command", "").rpartition(" ")[2]
    return made_as == str(_VENV) and _succeeds([str(_PYTHON), "-c", "import sys; assert sys.version_info >= (3, 11)"])


def _create() -> None:
    """Debian keeps `ensurepip` in python3-venv; without it and without root, the system's own pip stands in."""
    if _succeeds([sys.executable, "-c", "import ensurepip"]):
        _run([sys.executable, "-m", "venv", str(_VENV)])
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 and _succeeds([sys.executable, "-m", "pip", "--version"]):
        _run([sys.executable, "-m", "venv", "--without-pip", str(_VENV)])
        return
    install([package], why="Python's venv module is incomplete on this machine.")
    _run([sys.executable, "-m", "venv", str(_VENV)])


def _pip(*words: str) -> None:
    inside = _succeeds([str(_PYTHON), "-m", "pip", "--version"])
    start = [str(_PYTHON), "-m", "pip"] if inside else [sys.executable, "-m", "pip", "--python", str(_PYTHON)]
    _run([*start, "--disable-pip-version-check", "-qq", "--no-input", *words])


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_PROGRESS_BAR": "off"}
    environment.pop("PIP_USER", None)
    status = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
    if status != 0:
        raise MachineFault(f"{' '.join(command[1:4])} … failed with status {status}; its own message is above")


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    run_command(main)
