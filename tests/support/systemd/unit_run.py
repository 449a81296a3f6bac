"""Runs a unit as systemd would, where there is none: its command, account, environment, credentials and system calls.

`UnitRun` is for tests. `python -m tests.support.systemd.unit_run ROOT UNIT` is `systemctl start` of a machine without
systemd: it returns when a oneshot has ended, or when a service has said that it is ready, which then goes on.
"""

import errno
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.systemd.unit_files import Unit, read_unit
from tests.support.waiting import SOON

_CONFINED: Final = Path(__file__).with_name("confined.py")
_PYTHON: Final = "/usr/bin/python3"


def allowed_calls(unit: Unit) -> set[str]:
    """What `SystemCallFilter=` leaves, its sets resolved by systemd itself."""
    allowed: set[str] = set()
    for value in unit.all("SystemCallFilter"):
        names = {call for word in value.lstrip("~").split() for call in _calls_of(word)}
        allowed = allowed - names if value.startswith("~") else allowed | names
    # systemd lets these through in any case.
    return allowed | {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn"}


@cache
def _calls_of(word: str) -> frozenset[str]:
    if not word.startswith("@"):
        return frozenset({word})
    printed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", word], capture_output=True, text=True, check=True
    ).stdout
    entries = [line.strip() for line in printed.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return frozenset(call for entry in entries for call in _calls_of(entry))


class UnitRun:
    """One run of a unit."""

    def __init__(self, unit: Unit, *, log: Path, overrides: Mapping[str, str] | None = None) -> None:
        """`overrides` are variables that a test has to have otherwise, such as ports."""
        self._unit = unit
        self._log = log
        self._root = "" if unit.root == Path("/") else str(unit.root)
        self._folder = Path(tempfile.mkdtemp(prefix="unit-"))
        self._overrides = dict(overrides or {})
        self._told: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    @property
    def told(self) -> list[str]:
        """What the process has told its service manager so far, line by line."""
        with suppress(BlockingIOError, TimeoutError):
            while True:
                self._told += self._listener.recv(4096, socket.MSG_DONTWAIT).decode().splitlines()
        return self._told

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Begin, without waiting for anything."""
        account = self._account()
        self._folder.chmod(0o755)
        self._listener.bind(str(self._folder / "notify"))
        (self._folder / "notify").chmod(0o666)
        environment = {**self._surroundings(account), **self._credentials(account), **self._overrides}
        calls = self._folder / "calls"
        calls.write_text("\n".join(sorted(allowed_calls(self._unit))))
        confined = [_PYTHON, str(_CONFINED), str(errno.EPERM), *self._unit.command()]
        with self._log.open("ab") as output, calls.open() as names:
            self._process = subprocess.Popen(
                [*_as(account), *confined],
                env=environment,
                stdin=names,
                stdout=output,
                stderr=output,
                cwd="/",
                umask=int(self._unit.one("UMask", "0022"), 8),
                start_new_session=True,
            )

    def await_told(self, line: str, seconds: float = SOON) -> None:
        """Wait for a word of the process; AssertionError if it ends without, or takes longer."""
        self._listener.settimeout(0.2)
        for _ in range(int(seconds / 0.2)):
            if line in self._told:
                return
            with suppress(TimeoutError):
                self._told += self._listener.recv(4096).decode().splitlines()
            if line not in self._told and self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"{self._unit.name} ended ({self._process.returncode}):\n{self.log()}")
        assert line in self._told, f"{self._unit.name} has not said {line}:\n{self.log()}"

    def wait(self, seconds: float = SOON) -> int:
        """Its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and after `TimeoutStopSec=` SIGKILL; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(self._unit.seconds("TimeoutStopSec"))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def _account(self) -> pwd.struct_passwd | None:
        """Whom it runs as; None for whoever runs this, who may not change that."""
        if os.geteuid() != 0:
            return None
        lines = (self._unit.root / "etc/passwd").read_text().splitlines()
        for line in lines:
            name, password, uid, gid, words, home, shell = line.split(":")
            if name == self._unit.one("User"):
                return pwd.struct_passwd((name, password, int(uid), int(gid), words, home, shell))
        raise AssertionError(f"there is no account {self._unit.one('User')}")

    def _surroundings(self, account: pwd.struct_passwd | None) -> dict[str, str]:
        """What systemd gives to every service, and what this one asks for."""
        name = account.pw_name if account else "chandlery"
        given = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "LANG": "C.UTF-8",
            "USER": name,
            "LOGNAME": name,
            "HOME": f"{self._root}/var/lib/chandlery",
            "NOTIFY_SOCKET": str(self._folder / "notify"),
        }
        if self._unit.one("WatchdogSec"):
            given["WATCHDOG_USEC"] = str(int(self._unit.seconds("WatchdogSec") * 1_000_000))
        return given

    def _credentials(self, account: pwd.struct_passwd | None) -> dict[str, str]:
        """A copy that the account alone may read, and the environment with the path of it."""
        place = self._folder / "credentials"
        place.mkdir(mode=0o700)
        for name, source in self._unit.credentials().items():
            (place / name).write_bytes(source.read_bytes())
            (place / name).chmod(0o400)
        if account is not None:
            for path in (place, *place.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        environment = self._unit.environment()
        given = {name: value.replace(self._unit.credentials_folder, str(place)) for name, value in environment.items()}
        placed = {name: value.replace("/etc/chandlery", f"{self._root}/etc/chandlery") for name, value in given.items()}
        return {**placed, "CREDENTIALS_DIRECTORY": str(place)}


def _as(account: pwd.struct_passwd | None) -> list[str]:
    """setpriv, which takes away what the unit does not have."""
    if account is None:
        return []
    drop = ("--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
    rights = drop if account.pw_uid else ("--clear-groups",)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", *rights, "--"]


def main() -> int:
    """`ROOT UNIT`."""
    root, name = sys.argv[1:]
    unit = read_unit(Path(root), name)
    log = Path(root) / f"var/log/{name}.log"
    log.unlink(missing_ok=True)
    run = UnitRun(unit, log=log)
    run.start()
    if unit.one("Type") == "oneshot":
        status = run.wait(600)
        print(run.log()[-2000:])
        run.close()
        return status
    run.await_told("READY=1")
    print(run.pid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
