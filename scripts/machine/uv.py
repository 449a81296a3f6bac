"""uv, which installs the locked packages in a tenth of pip's time: the user's own, or one in `.cache/` by its lock."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from machine.console import say
from machine.places import CACHE, REPOSITORY

_FOLDER: Final = CACHE / "tools"
_LOCK: Final = REPOSITORY / "requirements" / "tools.txt"
_PIP: Final = ("-m", "pip")
_QUIET: Final = ("--disable-pip-version-check", "-qq", "--no-input")


def find_uv() -> Path | None:
    """A uv to use; None where it cannot be had (no wheel for this machine, no way to the index): pip does it then."""
    own = shutil.which("uv")
    if own is not None:
        return Path(own)
    installed = _FOLDER / "bin" / "uv"
    if not installed.exists():
        say("installing uv into .cache/, once")
        _install()
    return installed if installed.exists() else None


def uv_environment() -> dict[str, str]:
    """The machine's own certificates count, as they do for pip; and no progress bars between our lines."""
    return {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1", "UV_LINK_MODE": "copy"}


def _install() -> None:
    python = sys.executable
    if not _succeeds([python, *_PIP, "--version"]):
        # Debian keeps pip apart from Python, but not from its environments.
        environment = CACHE / "tools-python"
        if not _succeeds([python, "-m", "venv", str(environment)]):
            return
        python = str(environment / "bin" / "python")
    words = ("install", "--only-binary", ":all:", "--require-hashes", "--target", str(_FOLDER), "-r", str(_LOCK))
    _succeeds([python, *_PIP, *_QUIET, *words])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
