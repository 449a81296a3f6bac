"""Where the built programs are kept, and whether what is there is what the recipe of this checkout makes.

The folder belongs to the user, not to a checkout: `$XDG_CACHE_HOME/chandlery/cluster-servers/VERSION-RECIPE` (XDG
Base Directory Specification 0.8; `~/.cache` where it is not set). What is built beside it is renamed into place when
it is whole.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machine.console import MissingSoftwareFault
from machine.places import user_cache

VERSION: Final = "1.20.2"
"""Of Kubernetes; what Debian 12 has, and so what its source package has to hold."""
RECIPE: Final = 2
"""Raised with every change of the recipe that makes other programs, so that checkouts with another one keep theirs."""
PROGRAMS: Final = ("kube-apiserver", "kube-controller-manager")
_RECORD: Final = "built.json"
_COMMAND: Final = "make cluster-servers"


@dataclass(frozen=True)
class ClusterPrograms:
    """The three programs of a control plane; `etcd` is Debian's."""

    apiserver: Path
    controller_manager: Path
    etcd: Path


def cache_folder() -> Path:
    """Of this version and recipe; it need not exist."""
    return user_cache() / "cluster-servers" / f"{VERSION}-{RECIPE}"


def find_programs() -> ClusterPrograms:
    """What the tests start.

    Raises:
        MissingSoftwareFault: they have not been built, or not by this recipe, or etcd is missing; says what helps.
    """
    etcd = shutil.which("etcd")
    if lacking := what_is_wrong(cache_folder()):
        raise MissingSoftwareFault(f"{lacking} `{_COMMAND}` builds the programs, once, in about eight minutes.")
    if etcd is None:
        raise MissingSoftwareFault(f"There is no etcd on this machine. `{_COMMAND}` installs it.")
    apiserver, controller_manager = (cache_folder() / name for name in PROGRAMS)
    return ClusterPrograms(apiserver, controller_manager, Path(etcd))


def what_is_wrong(folder: Path) -> str:
    """A sentence, empty if all programs are there as they were built, by this recipe."""
    try:
        read: Any = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return "The servers of a real cluster have not been built."
    except ValueError:
        return "The record of what was built cannot be read."
    record: dict[str, Any] = read if isinstance(read, dict) else {}
    if (record.get("version"), record.get("recipe")) != (VERSION, RECIPE):
        return "The servers of a real cluster were built by another recipe."
    digests = record.get("sha256", {})
    for name in PROGRAMS:
        if not (folder / name).is_file() or digests.get(name) != _digest(folder / name):
            return f"{name} in the cache is not as it was built."
    return ""


def write_record(folder: Path, *, source: str, compiler: str) -> None:
    """Note what was built: the version of Debian's source package, of the compiler, and what the programs are."""
    record = {
        "version": VERSION,
        "recipe": RECIPE,
        "source": source,
        "compiler": compiler,
        "sha256": {name: _digest(folder / name) for name in PROGRAMS},
    }
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
