"""SoftHSM2 for the tests of PKCS#11, a hardware module in software, unpacked from Debian into a cache folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from machine.debian_packages import unpack_once
from machine.places import CACHE

_PACKAGES: Final = ("softhsm2", "libsofthsm2", "softhsm2-common")
_FOLDER: Final = CACHE / "softhsm"


@dataclass(frozen=True)
class SoftHsm:
    """Its module, and the program that makes tokens."""

    module: Path
    program: Path


def softhsm() -> SoftHsm:
    """Download and unpack it unless that has been done before.

    Raises:
        MissingSoftwareFault: this is not a Debian machine.
        MachineFault: the packages cannot be downloaded or hold no such module.
    """
    unpack_once(
        _PACKAGES,
        cache=_FOLDER,
        is_there=(_FOLDER / "debian").exists,
        otherwise="no SoftHSM2 on this machine; it is unpacked on Debian only",
    )
    module = next((_FOLDER / "debian").rglob("libsofthsm2.so"), None)
    program = next((_FOLDER / "debian").rglob("softhsm2-util"), None)
    if module is None or program is None:
        raise MachineFault("the packages of SoftHSM2 hold no module")
    return SoftHsm(module, program)
