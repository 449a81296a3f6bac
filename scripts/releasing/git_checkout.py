"""What Git knows of this checkout, and a copy of a commit's files without anything else that lies around."""

import json
import os
import subprocess
import tarfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from machine.places import REPOSITORY

STAMP: Final = "shared/chandlery/build_stamp.json"
"""Where `hatch_build.py` looks for a note that is there already."""
_SECONDS: Final = 60


def commit() -> str:
    """The one that is checked out, forty digits. Raises MachineFault where this is no checkout."""
    return _git("rev-parse", "HEAD").decode().strip()


def commit_seconds() -> int:
    """When it was made, in seconds since 1970: the time of everything that is built from it."""
    return int(_git("log", "-1", "--format=%ct"))


def changed_files() -> list[str]:
    """What no commit has, files that Git does not know included: `M path`, `?? path`."""
    return _git("status", "--porcelain").decode().splitlines()


def tagged_commit(name: str) -> str:
    """The commit of a tag; empty where there is none."""
    # An annotated tag is an object of its own, and leads to the commit.
    told = _git("for-each-ref", "--format=%(*objectname) %(objectname)", f"refs/tags/{name}").decode().split()
    return told[0] if told else ""


def export(target: Path, *, at: int) -> None:
    """The files of the commit in an empty folder, with the time `at`, and the note of the commit among them."""
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", "HEAD"))) as archive:
        archive.extractall(target, filter="tar")
    note = {
        "gitCommit": commit(),
        "gitTreeState": "clean",
        "buildDate": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    path = target / STAMP
    path.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    for each in target.rglob("*"):
        os.utime(each, (at, at), follow_symlinks=False)


def _git(*words: str) -> bytes:
    # Also when a hook of Git is at work, the checkout is this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words], cwd=REPOSITORY, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        raise MachineFault("git is not installed, and a release is made from a commit") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise MachineFault(f"git {words[0]} failed: {said[0]}")
    return done.stdout
