"""Processes that outlive the script which started them, recognised later beyond doubt."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.places import Account

_OPEN_FILES: Final = 65_536
_PAUSE_SECONDS: Final = 0.1
_LAUNCHED: Final[dict[int, subprocess.Popen[bytes]]] = {}
"""By process id. Whoever launched one collects it when it has ended; Python complains of those that nobody did."""


@dataclass(frozen=True, kw_only=True)
class ProcessMark:
    """Names one process for ever: a process id is reused, the same id born at the same tick of the same boot is not."""

    pid: int
    born: int
    """Clock ticks since boot, field 22 of /proc/PID/stat (proc(5))."""
    boot: str
    halt: str
    """Name of the signal that ends this process in good order."""


def launch(
    command: Sequence[str],
    *,
    halt: signal.Signals,
    account: Account | None,
    environment: Mapping[str, str],
    home: Path,
    log: Path,
) -> ProcessMark:
    """Start `command` in a session of its own, in `home`, with its output in `log`."""
    _bound_open_files()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    _LAUNCHED[process.pid] = process
    _, born = _state_and_birth(process.pid)
    return ProcessMark(pid=process.pid, born=born, boot=_boot(), halt=halt.name)


def is_alive(mark: ProcessMark) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    try:
        state, born = _state_and_birth(mark.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX" and born == mark.born and mark.boot == _boot()


def end(mark: ProcessMark, *, patience_seconds: float = 20) -> None:
    """End the process with its own signal, and by force if that takes too long; nothing happens if it is gone."""
    for chosen in (signal.Signals[mark.halt], signal.SIGKILL):
        if not is_alive(mark):
            return
        try:
            os.kill(mark.pid, chosen)
        except ProcessLookupError:
            return
        _wait_until_gone(mark, seconds=patience_seconds)
        _collect(mark)


def _wait_until_gone(mark: ProcessMark, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(mark) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _collect(mark: ProcessMark) -> None:
    launched = _LAUNCHED.get(mark.pid)
    if launched and launched.poll() is not None:
        del _LAUNCHED[mark.pid]


def _state_and_birth(pid: int) -> tuple[str, int]:
    text = Path(f"/proc/{pid}/stat").read_text()
    # The second field is the command in brackets and may itself hold brackets and blanks.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _bound_open_files() -> None:
    # Some containers allow a thousand million open files, and the Erlang machine allocates a table for all of them.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
