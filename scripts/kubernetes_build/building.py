"""From nothing to a filled cache: packages, sources, programs. A second try goes on where the first has ended."""

import shutil
from pathlib import Path
from typing import Final

from kubernetes_build.cluster_cache import PROGRAMS, VERSION, cache_folder, what_is_wrong, write_record
from kubernetes_build.compiling import GoBuild
from kubernetes_build.debian_source import KEYRING, source_tree
from kubernetes_build.patching import patch
from machine.console import MachineFault, MissingSoftwareFault, say
from machine.debian import install
from machine.places import locked

_TOOLS: Final = {"golang-go": "go", "dpkg-dev": "dpkg-source"}
"""Debian's packages, and the program of each that is needed to build."""
_ETCD: Final = {"etcd-server": "etcd"}
_FREE_BYTES: Final = 3_000_000_000
"""Sources, packages compiled, programs: two gigabytes, and what the linker needs."""


def build_programs() -> None:
    """Have them in the cache, unless they are there.

    Raises:
        MissingSoftwareFault: something has to be installed by a person, and the text says what.
        MachineFault: no room, no way to Debian's archive, or a step failed; says which, and with which words.
    """
    folder = cache_folder()
    with locked(folder.parent / "lock"):
        lacking = what_is_wrong(folder)
        if not lacking:
            _have(_ETCD)
            say(f"Kubernetes {VERSION} is built, in {folder}")
            return
        say(lacking)
        say("building takes eight minutes of one processor, or four of two, and can be interrupted; it is done once")
        _have({**_ETCD, **_TOOLS})
        if not KEYRING.exists():
            raise MissingSoftwareFault("Debian's keys are missing. Install what Debian calls: debian-archive-keyring.")
        _build(folder)
        say(f"Kubernetes {VERSION} is built, in {folder}: {_megabytes(folder)} MB")


def _build(folder: Path) -> None:
    work = folder.with_name(f"{folder.name}.building")
    work.mkdir(exist_ok=True)
    if shutil.disk_usage(work).free < _FREE_BYTES:
        raise MachineFault(f"building needs {_FREE_BYTES // 10**9} GB for a while, which {work.parent} does not have")
    go = GoBuild(work)
    source = source_tree(work, tree=go.tree)
    patch(go.tree, compiler=go.compiler())
    go.generate()
    go.compile()
    done = work / "done"
    shutil.rmtree(done, ignore_errors=True)
    done.mkdir()
    for name in PROGRAMS:
        (go.bin / name).rename(done / name)
    write_record(done, source=source, compiler=go.compiler())
    shutil.rmtree(folder, ignore_errors=True)
    done.rename(folder)
    shutil.rmtree(work)


def _have(wanted: dict[str, str]) -> None:
    """Install those of the packages whose program is missing."""
    missing = [package for package, program in wanted.items() if shutil.which(program) is None]
    if missing:
        install(missing, why="The servers of a real cluster need more than there is on this machine.")


def _megabytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) // 10**6
