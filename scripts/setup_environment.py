"""Makes `.venv` ready: created if need be, requirements installed by hash, this checkout installed in editable form.

    setup_environment.py [--demo] [STAMP …]
    setup_environment.py --uv

Run by `make setup`, and with `--demo` by `make demo`, which needs half as many packages; both pass stamp files to
touch at the end. `--uv` only puts uv where `make lock` looks for it.
"""

import argparse
import configparser
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, run_command, say
from machine.debian import install
from machine.installing import install_into, succeeds
from machine.places import REPOSITORY
from machine.uv import find_uv

_VENV: Final = REPOSITORY / ".venv"
_PYTHON: Final = _VENV / "bin" / "python"
_OLDEST: Final = (3, 11)


def main() -> int:
    """Bring `.venv` up to date with its lock and touch the stamps named on the command line."""
    if sys.version_info < _OLDEST:
        raise MissingSoftwareFault("Python 3.11 or newer is needed; name it with `make PYTHON=/path/to/python3.11 …`")
    arguments = _parser().parse_args()
    uv = find_uv()
    if arguments.uv:
        if uv is None:
            raise MachineFault("uv cannot be installed here; `make lock` needs it: https://docs.astral.sh/uv")
        return 0
    began = time.monotonic()
    if not _is_ours():
        say(f"creating .venv with Python {'.'.join(map(str, sys.version_info[:3]))}")
        shutil.rmtree(_VENV, ignore_errors=True)
        _create()
    lock = REPOSITORY / "requirements" / ("demo.txt" if arguments.demo else "dev.txt")
    count = sum(1 for line in lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))
    say(f"installing the {count} locked packages with {'uv' if uv else 'pip, which takes a minute'}")
    # The lock is whole; what is asked for beside it was left out on purpose (requirements/excluded.in).
    install_into(_PYTHON, "--no-deps", "--require-hashes", "-r", str(lock))
    say("installing this checkout in editable form")
    install_into(_PYTHON, "--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    for stamp in arguments.stamps:
        Path(stamp).touch()
    say(f"environment ready in {time.monotonic() - began:.0f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Makes .venv ready.")
    parser.add_argument("--demo", action="store_true", help="only what Chandlery and the example broker need to run")
    parser.add_argument("--uv", action="store_true", help="only put uv into .cache/")
    parser.add_argument("stamps", nargs="*", help="files to touch at the end")
    return parser


def _is_ours() -> bool:
    """Whether a usable environment was made in this very place; the scripts of a copied one run the original's code."""
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read_string("[venv]\n" + (_VENV / "pyvenv.cfg").read_text())
    except (OSError, configparser.Error):
        return False
    made_as = settings["venv"].get("command", "").rpartition(" ")[2]
    return made_as == str(_VENV) and succeeds([str(_PYTHON), "-c", "import sys; assert sys.version_info >= (3, 11)"])


def _create() -> None:
    """Without pip, where uv or the pip of the Python that makes it can install into it: that saves seconds."""
    if succeeds([sys.executable, "-m", "pip", "--version"]) or find_uv() is not None:
        _run([sys.executable, "-m", "venv", "--without-pip", str(_VENV)])
        return
    if not succeeds([sys.executable, "-c", "import ensurepip"]):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        install([package], why="Python's venv module is incomplete on this machine.")
    _run([sys.executable, "-m", "venv", str(_VENV)])


def _run(command: list[str]) -> None:
    status = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    if status != 0:
        raise MachineFault(f"{' '.join(command[1:4])} … failed with status {status}; its own message is above")


if __name__ == "__main__":
    run_command(main)
