"""The release before this checkout, installed: which one is told by docs/releases.md, its source by git's history.

It is installed as its users did, from its own source by its own locks, into the user's cache folder beside the servers
of a real cluster, once for each commit and Python: `~/.cache/chandlery/releases/0.1.0-e4f8c337a4c2-3.11/`. The source
is unpacked (`git archive`) and not checked out: a git worktree belongs to one checkout, and this to all of a user's.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from machine.console import MachineFault, say
from machine.installing import install_into
from machine.places import REPOSITORY, locked, user_cache
from releasing.version_places import version_of
from tests.release.packages import Environment

RELEASES: Final = REPOSITORY / "docs" / "releases.md"
_ROW: Final = re.compile(
    r"^\| (?P<version>\d[\w.]*) \| \d{4}-\d\d-\d\d \| `(?P<name>[0-9a-f]{40}|v\d[\w.]*)`", re.MULTILINE
)
_RECORD: Final = "installed.json"
_SECONDS: Final = 120


@dataclass(frozen=True)
class Release:
    """One that was made."""

    version: str
    commit: str
    """Or a tag."""


def listed_releases(text: str) -> list[Release]:
    """Those of the table in `docs/releases.md`."""
    return [Release(row["version"], row["name"]) for row in _ROW.finditer(text)]


def previous_release() -> Release:
    """The newest one that this checkout comes after.

    Raises:
        MachineFault: docs/releases.md has none before the version of this checkout.
    """
    release = newest_before(version_of(REPOSITORY), listed_releases(RELEASES.read_text()))
    commit = _git("rev-parse", "--verify", "--quiet", f"{release.commit}^{{commit}}").stdout.decode().strip()
    # What the history does not have is told when it is needed.
    return Release(release.version, commit or release.commit)


def newest_before(version: str, releases: Iterable[Release]) -> Release:
    """Of the releases the newest one before that version. Not by commits: one that is about to be made has no tag yet.

    Raises:
        MachineFault: there is none.
    """
    earlier = [release for release in releases if Version(release.version) < Version(version)]
    if not earlier:
        raise MachineFault(f"{RELEASES.name} lists no release before {version}")
    return max(earlier, key=lambda release: Version(release.version))


def installed_release(release: Release) -> Environment:
    """The environment of that release; made in a few seconds if nobody has asked for it before.

    Raises:
        MachineFault: the history of this checkout does not go back so far, or installing has failed; says what helps.
    """
    python = ".".join(map(str, sys.version_info[:2]))
    folder = user_cache() / "releases" / f"{release.version}-{release.commit[:12]}-{python}"
    with locked(folder.with_suffix(".lock")):
        if not _is_whole(folder, release):
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, release)
    return Environment(folder / "environment")


def _install(folder: Path, release: Release) -> None:
    say(f"installing release {release.version} into {folder}, once")
    source = folder / "source"
    source.mkdir(parents=True)
    _unpack(source, release)
    environment = Environment(folder / "environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment.folder)], check=True)
    # The lock that has its build backend, too.
    install_into(environment.python, "--no-deps", "--require-hashes", "-r", str(source / "requirements" / "demo.txt"))
    install_into(environment.python, "--no-deps", "--no-build-isolation", str(source))
    (folder / _RECORD).write_text(json.dumps({"commit": release.commit, "python": sys.base_prefix}) + "\n")


def _unpack(source: Path, release: Release) -> None:
    packed = _git("archive", "--format=tar", release.commit)
    if packed.returncode != 0:
        raise MachineFault(
            f"The history of this checkout does not have the commit {release.commit} of release {release.version}, "
            "with which an upgrade begins. `git fetch --unshallow` fetches it where a clone was made without."
        )
    subprocess.run(["tar", "-x", "-C", str(source)], input=packed.stdout, check=True, timeout=_SECONDS)


def _is_whole(folder: Path, release: Release) -> bool:
    try:
        record = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        return False
    return bool(record == {"commit": release.commit, "python": sys.base_prefix})


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, check=False, timeout=_SECONDS)
