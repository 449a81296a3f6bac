"""Hatchling's build hook: notes in wheel and sdist which commit they are built from.

`chandlery version` and the gateway's `/version` tell it. The note is a file in the package. It is made from Git where
the source is a checkout of its own, and is there already where the source is an sdist or the build context of a
release: then it goes along as it is. Without either there is no note. An editable install has none: its source changes.
"""

import json
import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FILE = "build_stamp.json"
_IN_SOURCE = f"shared/chandlery/{_FILE}"
_PLACES = {"wheel": f"chandlery/{_FILE}", "sdist": _IN_SOURCE}


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Found by hatchling under this name."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds a target; `version` is `standard` or `editable`."""
        if version == "editable":
            return
        path = Path(self.root, _IN_SOURCE)
        if not path.exists():
            stamp = stamp_of(Path(self.root))
            if stamp is None:
                return
            self._folder = TemporaryDirectory()
            path = Path(self._folder.name) / _FILE
            path.write_text(stamp, encoding="utf-8")
        # In both cases by force, so that the same source gives the same wheel, file by file in the same order.
        build_data["force_include"][str(path)] = _PLACES[self.target_name]

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Called by hatchling when the target is there."""
        if self._folder is not None:
            self._folder.cleanup()


def stamp_of(root: Path) -> str | None:
    """The note for the checkout in that folder, as JSON text; None if it is none, or if there is no Git."""
    top = _git(root, "rev-parse", "--show-toplevel")
    # Source that was unpacked within the checkout of something else is not of that commit.
    if top is None or Path(top).resolve() != root.resolve():
        return None
    commit, seconds = _git(root, "rev-parse", "HEAD"), _git(root, "log", "-1", "--format=%ct")
    if not commit or not seconds:
        return None
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or seconds), UTC)
    note = {
        "gitCommit": commit,
        "gitTreeState": "dirty" if _git(root, "status", "--porcelain") else "clean",
        "buildDate": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(note, indent=2) + "\n"


def _git(root: Path, *words: str) -> str | None:
    # Also when a hook of Git is at work, the checkout is the one in the folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with suppress(OSError):
        done = subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None
    return None
