"""A checkout of its own with what is in this one, committed or not: releases are made there, and none here."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from releasing.changelog import UNRELEASED, has_unreleased
from releasing.version_places import version_of
from releasing.versions import is_release
from tests.e2e.stacks.programs import REPOSITORY, clean_environment

_AUTHOR: Final = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false")
_SECONDS: Final = 170


@dataclass(frozen=True)
class ScratchCheckout:
    """A Git repository with one branch."""

    folder: Path

    def git(self, *words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *_AUTHOR, *words], cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, subject: str) -> str:
        """All that has been changed; answers the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def run(self, script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """One of the scripts of that checkout, with the packages of the environment that runs the tests."""
        return subprocess.run(
            [sys.executable, str(self.folder / "scripts" / script), *words],
            cwd=self.folder,
            env=clean_environment(**variables),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands there."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def scratch_checkout(folder: Path) -> ScratchCheckout:
    """With one commit of everything that is here and that Git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    made = ScratchCheckout(folder)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.commit("everything")
    return made


def next_minor(version: str) -> str:
    """The release after that one: 0.3.0 after 0.2.0."""
    found = Version(version)
    return f"{found.major}.{found.minor + 1}.0"


def coming_release() -> str:
    """The release that this checkout is on its way to; on the commit of a release the one after it."""
    version = version_of(REPOSITORY)
    return next_minor(version) if is_release(version) else Version(version).base_version


def about_to_release(folder: Path, version: str, day: str) -> ScratchCheckout:
    """With another commit, on which that version is set as `make version` sets it."""
    made = scratch_checkout(folder)
    changelog = folder / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    if not has_unreleased(text):
        # On the commit of a release, and right after it.
        change = "### Fixed\n\n- Something.\n"
        changelog.write_text(re.sub(rf"(?m)^## \[{UNRELEASED}\]\n", rf"\g<0>\n{change}", text), encoding="utf-8")
    set_ = made.run("version.py", version, "--date", day)
    assert set_.returncode == 0, set_.stderr
    made.commit(f"release {version}")
    return made
