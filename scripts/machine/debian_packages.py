"""Packages of Debian, downloaded and unpacked into a folder of ours: nothing is installed, no root rights needed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, say
from machine.places import locked

_APT_SECONDS: Final = 300


def unpack_once(packages: Sequence[str], *, cache: Path, is_there: Callable[[], bool], otherwise: str) -> None:
    """Have what the packages hold in `debian/` of a cache folder. One process does it, others wait for that.

    Raises:
        MissingSoftwareFault: this is not a Debian machine, in the words of `otherwise`.
        MachineFault: a package cannot be downloaded.
    """
    with locked(cache / "lock"):
        if is_there():
            return
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise MissingSoftwareFault(otherwise)
        say(f"unpacking {packages[0]} from Debian into {cache.name}/, once")
        _unpack(packages, into=cache / "debian")


def _unpack(packages: Sequence[str], *, into: Path) -> None:
    """Put what the packages hold into a folder, in the place of what is there. Raises MachineFault."""
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        work = Path(name)
        unpacked = work / "unpacked"
        for package in packages:
            _run(["dpkg-deb", "-x", str(_download(package, work)), str(unpacked)], folder=work)
        shutil.rmtree(into, ignore_errors=True)
        unpacked.rename(into)


def _download(package: str, work: Path) -> Path:
    """With the machine's package lists if they know the package, else with our own; neither needs root rights."""
    ordinary = ["apt-get", "-q", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"]
    if _attempt([*ordinary, "download", package], folder=work).returncode != 0:
        for folder in ("lists/partial", "archives/partial"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        own = [*ordinary, "-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}"]
        _run([*own, "update"], folder=work)
        _run([*own, "download", package], folder=work)
    found = next(work.glob(f"{package}_*.deb"), None)
    if found is None:
        raise MachineFault(f"apt-get said it downloaded {package}, but there is no such file")
    return found


def _run(command: Sequence[str], *, folder: Path) -> None:
    done = _attempt(command, folder=folder)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-10:])
        raise MachineFault(f"{command[0]} failed with status {done.returncode}:\n{tail}")


def _attempt(command: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_APT_SECONDS,
        check=False,
    )
