"""Debian packages, installed when we are root and described to the user when we are not."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, say
from machine.places import CACHE, locked

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_APT_LOCK: Final = Path("/run/chandlery-apt.lock")
_APT_OPTIONS: Final = (
    "-o",
    "DPkg::Lock::Timeout=180",
    "-o",
    "Acquire::Retries=3",
    "-o",
    "Dpkg::Options::=--force-confold",
)
_APT_SECONDS: Final = 900


def install(packages: Sequence[str], *, why: str) -> None:
    """Install `packages` with apt, without letting any of them start a system-wide server.

    Raises:
        MissingSoftwareFault: we are not root, or this is not a Debian machine.
        MachineFault: apt failed; the text ends with the last lines it wrote.
    """
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise MissingSoftwareFault(f"{why} Install what Debian calls: {names}.")
    if os.geteuid() != 0:
        raise MissingSoftwareFault(f"{why} Install it with: sudo apt-get install {names}")
    with locked(_APT_LOCK), _servers_held_back():
        say(f"installing {names} with apt, once")
        _apt("update", tolerate=True)
        _apt("install", "-y", "--no-install-recommends", *packages)


@contextmanager
def _servers_held_back() -> Iterator[None]:
    """Debian starts a server as soon as it is installed, unless policy-rc.d (invoke-rc.d(8)) answers 101."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _apt(*words: str, tolerate: bool = False) -> None:
    log = CACHE / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    with log.open("w") as output:
        done = subprocess.run(
            ["apt-get", "-q", *_APT_OPTIONS, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=_APT_SECONDS,
            check=False,
        )
    if done.returncode == 0 or tolerate:
        return
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise MachineFault(f"apt-get {words[0]} failed with status {done.returncode}:\n{tail}")
