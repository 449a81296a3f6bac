"""A kubectl for the end-to-end tests, unpacked into a cache folder and never installed.

kubectl_cache.py debian   path of the kubectl in Debian's kubernetes-client (1.20 in Debian 12)
kubectl_cache.py any      path of the kubectl on PATH, or of Debian's where there is none
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from machine.console import MachineFault, run_command
from machine.debian_packages import unpack_once
from machine.places import CACHE

_PACKAGE: Final = "kubernetes-client"
_FOLDER: Final = CACHE / "kubectl"


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
    unpack_once(
        [_PACKAGE],
        cache=_FOLDER,
        is_there=binary.exists,
        otherwise="no kubectl on this machine; install kubectl and have it on PATH",
    )
    if not binary.exists():
        raise MachineFault(f"{_PACKAGE} holds no kubectl")
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


if __name__ == "__main__":
    run_command(main)
