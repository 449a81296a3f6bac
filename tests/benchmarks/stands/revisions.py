"""Other revisions of this repository, each checked out in a folder of its own with an environment of its own."""

import os
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
_FOLDER: Final = ROOT / ".cache" / "revisions"
_OURS: Final = ("CHANDLERY_", "MAKE", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV")
"""Beginnings of variables that are meant for this checkout."""


def command_of(revision: str) -> str:
    """The program `chandlery` of that revision, set up by its own `make setup`; kept for the next time.

    Raises SystemExit if there is no such revision.
    """
    commit = name_of(revision)
    folder = _FOLDER / commit
    if not (folder / "Makefile").exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--quiet", "--detach", str(folder), commit)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    subprocess.run(["make", "setup"], cwd=folder, env=environment, check=True)
    return str(folder / ".venv" / "bin" / "chandlery")


def name_of(revision: str) -> str:
    """The short name of a commit; raises SystemExit if there is none."""
    try:
        return _git("rev-parse", "--verify", "--quiet", "--short=12", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError:
        raise SystemExit(f"there is no revision {revision!r} in this repository") from None


def name_of_checkout() -> str:
    """The commit that is checked out, with a mark if something has changed since."""
    return name_of("HEAD") + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
