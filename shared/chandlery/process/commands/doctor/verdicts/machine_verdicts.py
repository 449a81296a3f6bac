"""What to think of the machine: open files, room on disks, who may read files with secrets. Pure."""

import resource
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chandlery.process.commands.doctor.check import Result, fail, ok, warn

OTHER_FILES: Final = 200
"""As the gateway reserves: see `listening.py`."""
_FEWEST_CONNECTIONS: Final = 50
_MIB: Final = 1 << 20
_LITTLE: Final = 1_024 * _MIB
_NOTHING: Final = 100 * _MIB


@dataclass(frozen=True)
class FileMode:
    """A file with something secret in it."""

    setting: str
    path: Path
    mode: int


def open_files(limit: int, *, connections: int, pool: int) -> Result:
    """`limit` is what a process may lift its own limit to."""
    reserved = OTHER_FILES + pool
    wanted = reserved + connections
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        shown = "any number of" if limit == resource.RLIM_INFINITY else f"{limit:,}"
        return ok(f"a process may open {shown} files; a gateway needs up to {wanted:,}")
    remedy = f"allow at least {wanted} (`ulimit -n {wanted}`, or LimitNOFILE= of the unit)"
    left = max(0, limit - reserved)
    if left < min(connections, _FEWEST_CONNECTIONS):
        return fail(
            f"a process may open {limit:,} files, which leaves {left} connections: a gateway does not start", remedy
        )
    return warn(
        f"a process may open {limit:,} files, so a gateway takes {left:,} connections instead of {connections:,}",
        f"{remedy}, or lower CHANDLERY_MAX_CONNECTIONS",
    )


def room(what: str, folder: Path, *, free: int) -> Result:
    """How much room there is where something is written; `free` in bytes."""
    told = f"{free / _MIB:,.0f} MiB are free for {what} in {folder}"
    remedy = f"make room on the disk of {folder}, or give it a larger one"
    if free < _NOTHING:
        return fail(told, remedy)
    return warn(told, remedy) if free < _LITTLE else ok(told)


def secrecy(file: FileMode) -> Result:
    """Whether users of this machine who have nothing to do with it may read the file."""
    quoted = shlex.quote(str(file.path))
    if file.mode & stat.S_IWOTH:
        return fail(f"any user of this machine may change {file.path} ({file.setting})", f"chmod o= {quoted}")
    if file.mode & stat.S_IROTH:
        return warn(f"any user of this machine may read {file.path} ({file.setting})", f"chmod o= {quoted}")
    return ok(f"{file.path} is not for everybody")
