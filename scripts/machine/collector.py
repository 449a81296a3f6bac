"""Rotel, a collector of OpenTelemetry's protocol, for `make collector`: from PyPI by its lock, into a cache folder."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from machine.console import MissingSoftwareFault, say
from machine.places import CACHE, REPOSITORY, locked
from machine.uv import find_uv, uv_environment

_FOLDER: Final = CACHE / "collector"
_LOCK: Final = REPOSITORY / "requirements" / "collector.txt"


def collector() -> Path:
    """Its program, installed unless that has been done before. Raises MissingSoftwareFault where it has no wheel."""
    program = _FOLDER / "rotel" / "rotel-agent"
    with locked(_FOLDER / "lock"):
        if not program.exists():
            say(f"installing Rotel into {_FOLDER.name}/ of .cache/, once")
            _install()
    if not program.exists():
        raise MissingSoftwareFault("Rotel cannot be installed: there is no wheel for this machine, or no way to PyPI")
    program.chmod(0o755)
    return program


def _install() -> None:
    uv = find_uv()
    words = ("--only-binary", ":all:", "--require-hashes", "--target", str(_FOLDER), "-r", str(_LOCK))
    start = [str(uv), "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    subprocess.run([*start, "--quiet", *words], cwd=REPOSITORY, env=uv_environment(), check=False)
