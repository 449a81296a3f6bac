"""A kubectl for the end-to-end tests, unpacked into a cache folder and never installed.

kubectl_cache.py debian   path of the kubectl in Debian's kubernetes-client (1.20 in Debian 12)
kubectl_cache.py any      path of the kubectl on PATH, or of Debian's where there is none
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, run_command, say
from machine.places import CACHE, locked

_PACKAGE: Final = "kubernetes-client"
_FOLDER: Final = CACHE / "kubectl"
_APT_SECONDS: Final = 300


def any_kubectl() -> Path:
    """The kubectl this machine's user would run, else Debian's."""
    on_path = shutil.which("kubectl")
    return Path(on_path) if on_path else debian_kubectl()


def debian_kubectl() -> Path:
    """Download and unpack Debian's kubectl unless that has been done before.

    Raises:
        MissingSoftwareFault: this is not a Debian machine.
        MachineFault: the package cannot be downloaded or holds no kubectl.
    """
    binary = _FOLDER / "debian" / "usr" / "bin" / "kubectl"
    with locked(_FOLDER / "lock"):
        if not binary.exists():
            _unpack(binary)
    return binary


def main() -> int:
    """Print the path the subcommand asks for."""
    match sys.argv[1:]:
        case ["debian"]:
            print(debian_kubectl())
        case ["any"]:
            print(any_kubectl())
        case _:
            raise MachineFault("usage: kubectl_cache.py debian|any", exit_code=2)
    return 0


def _unpack(binary: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingSoftwareFault("no kubectl on this machine; install kubectl and have it on PATH")
    say(f"unpacking {_PACKAGE} from Debian into {_FOLDER.name}/, once")
    with tempfile.TemporaryDirectory(dir=_FOLDER) as name:
        work = Path(name)
        package = _download(work)
        unpacked = work / "unpacked"
        _run(["dpkg-deb", "-x", str(package), str(unpacked)], folder=work)
        if not (unpacked / binary.relative_to(_FOLDER / "debian")).exists():
            raise MachineFault(f"{package.name} holds no kubectl")
        shutil.rmtree(_FOLDER / "debian", ignore_errors=True)
        unpacked.rename(_FOLDER / "debian")


def _download(work: Path) -> Path:
    """With the machine's package lists if they know the package, else with our own; neither needs root rights."""
    ordinary = ["apt-get", "-q", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"]
    if _attempt([*ordinary, "download", _PACKAGE], folder=work).returncode != 0:
        for folder in ("lists/partial", "archives/partial"):
            (work / folder).mkdir(parents=True)
        own = [*ordinary, "-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}"]
        _run([*own, "update"], folder=work)
        _run([*own, "download", _PACKAGE], folder=work)
    package = next(work.glob(f"{_PACKAGE}_*.deb"), None)
    if package is None:
        raise MachineFault(f"apt-get said it downloaded {_PACKAGE}, but there is no such file")
    return package


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


if __name__ == "__main__":
    run_command(main)
