"""Prometheus and promtool for the tests of rules and dashboards, unpacked from Debian into a cache folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from machine.debian_packages import unpack_once
from machine.places import CACHE

_PACKAGE: Final = "prometheus"
_FOLDER: Final = CACHE / "prometheus"


@dataclass(frozen=True)
class Prometheus:
    """The server, and the program that checks rules and runs their tests."""

    server: Path
    promtool: Path


def prometheus() -> Prometheus:
    """Download and unpack it unless that has been done before; nothing is installed and no server is started.

    Raises:
        MissingSoftwareFault: this is not a Debian machine.
        MachineFault: the package cannot be downloaded or holds no Prometheus.
    """
    programs = _FOLDER / "debian" / "usr" / "bin"
    found = Prometheus(programs / "prometheus", programs / "promtool")
    unpack_once(
        [_PACKAGE],
        cache=_FOLDER,
        is_there=found.server.exists,
        otherwise="no Prometheus on this machine; it is unpacked on Debian only",
    )
    if not (found.server.exists() and found.promtool.exists()):
        raise MachineFault(f"{_PACKAGE} holds no Prometheus, or no promtool")
    return found
