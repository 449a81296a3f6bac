"""Debian's source package `kubernetes`: downloaded with apt by a sources list of our own, checked by it, and unpacked.

The machine's lists and settings stay as they are, and no root rights are needed.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kubernetes_build.cluster_cache import VERSION
from machine.console import MachineFault, say

_PACKAGE: Final = "kubernetes"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASE: Final = "bookworm"
"""Debian 12: later ones may hold a Kubernetes that this recipe does not know."""
_SECONDS: Final = 900


def source_tree(work: Path, *, tree: Path) -> str:
    """Have the sources in `tree`, unless they are there; answers the version of Debian's package.

    Raises:
        MachineFault: they cannot be had, or are of another version than the recipe is for.
    """
    downloads = work / "download"
    downloads.mkdir(parents=True, exist_ok=True)
    if not _description(downloads):
        say("downloading Debian's source package of Kubernetes, 35 MB")
        _download(work, downloads)
    described = _description(downloads)
    if described is None:
        raise MachineFault("apt-get said that it downloaded the sources of Kubernetes, but they are not there")
    version = described.stem.removeprefix(f"{_PACKAGE}_")
    if VERSION not in version:
        raise MachineFault(f"Debian's source package is Kubernetes {version}; this recipe is for {VERSION}")
    if not tree.exists():
        say("unpacking it")
        draft = work / "unpacked"
        shutil.rmtree(draft, ignore_errors=True)
        # apt has checked what it downloaded; a second check would want the keys of all of Debian's developers.
        run(["dpkg-source", "--no-check", "-x", str(described), str(draft)], folder=downloads)
        tree.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(tree)
    return version


def run(command: Sequence[str], *, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run it to its end and answer what it printed. Raises MachineFault with its last lines if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment or {**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise MachineFault(f"{Path(command[0]).name} failed with status {done.returncode}:\n{tail}")
    return done.stdout


def _download(work: Path, downloads: Path) -> None:
    for folder in ("lists/partial", "archives/partial"):
        (work / "apt" / folder).mkdir(parents=True, exist_ok=True)
    sources = work / "apt" / "sources.list"
    # The signature stands in for TLS.
    sources.write_text(f"deb-src [signed-by={KEYRING}] {_archive(downloads)} {_RELEASE} main\n")
    own = {
        "Acquire::Retries": "3",
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": str(sources),
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": str(work / "apt" / "lists"),
        "Dir::Cache": str(work / "apt"),
    }
    apt = ["apt-get", "-q", *(word for name, value in own.items() for word in ("-o", f"{name}={value}"))]
    run([*apt, "update"], folder=downloads)
    run([*apt, "source", "--download-only", _PACKAGE], folder=downloads)


def _archive(folder: Path) -> str:
    """Where this machine has Debian's packages from, be it Debian itself or a mirror. Raises MachineFault."""
    form = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], folder=folder)
    for line in listed.splitlines():
        # An archive without components has fewer words.
        match line.split(maxsplit=2):
            case [codename, "main", address] if codename == _RELEASE:
                return address
    raise MachineFault(
        f"apt knows no archive of Debian 12 ({_RELEASE} main), where the sources of Kubernetes are: see `apt-get "
        "indextargets`"
    )


def _description(downloads: Path) -> Path | None:
    """The .dsc, which names the other files; only looked for when apt has fetched all of them."""
    found = next(downloads.glob(f"{_PACKAGE}_*.dsc"), None)
    return found if found and any(downloads.glob("*.orig.tar.*")) else None
