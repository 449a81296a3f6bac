"""The two servers of the walk-through, the example broker and `chandlery up`: free ports, one temporary folder."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from machine.console import MachineFault
from machine.places import REPOSITORY
from machine.ports import LOOPBACK

_START_SECONDS: Final = 60.0
_END_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.05
_OK: Final = 200


class Server:
    """A program that says on its output where it listens; it ends with the block."""

    def __init__(self, name: str, command: Sequence[str], *, listens: str, folder: Path) -> None:
        """`listens` is a regular expression whose group is the port."""
        self.name = name
        self.port = 0
        self._command = command
        self._listens = re.compile(listens)
        self._log = folder / f"{name.replace(' ', '-')}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens.

        Raises:
            MachineFault: it ended, or said nothing for a minute.
        """
        with self._log.open("wb") as output:
            # In a session of its own: Ctrl-C is for us, and we end it in good order.
            self._process = subprocess.Popen(
                self._command,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.port = self._await_port(self._process)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def await_answer(self, path: str) -> None:
        """Wait until a GET is answered with 200.

        Raises:
            MachineFault: that took longer than a minute.
        """
        deadline = time.monotonic() + _START_SECONDS
        while (seen := _get(self.port, path)) != _OK:
            if time.monotonic() > deadline:
                raise MachineFault(f"{self.name} still answers {seen or 'nothing'} to {path}")
            time.sleep(_PAUSE_SECONDS)

    def _await_port(self, process: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            has_ended = process.poll() is not None
            found = self._listens.search(self._log.read_text(errors="replace"))
            if found is not None:
                return int(found[1])
            if has_ended:
                raise MachineFault(f"{self.name} ended with status {process.returncode} instead of listening")
            if time.monotonic() > deadline:
                raise MachineFault(f"{self.name} did not listen within {_START_SECONDS:.0f} seconds")
            time.sleep(_PAUSE_SECONDS)

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def demo_broker(folder: Path) -> Server:
    """The example broker."""
    script = REPOSITORY / "examples" / "demo_broker" / "broker.py"
    command = [sys.executable, str(script), "--port", "0"]
    return Server("demo broker", command, listens=rf"listens on http://{LOOPBACK}:(\d+)", folder=folder)


def chandlery_up(folder: Path) -> Server:
    """The gateway and all workers in one process, with its data in `folder`/data."""
    executable = str(Path(sys.executable).with_name("chandlery"))
    command = [executable, "up", "--data-dir", str(folder / "data"), "--port", "0"]
    return Server("chandlery up", command, listens=rf"ready at https://{LOOPBACK}:(\d+)", folder=folder)


def clean_environment(**given: str) -> Mapping[str, str]:
    """The environment without the settings of a Chandlery that the user may run."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CHANDLERY_", "DEMO_"))}
    return {**inherited, "PYTHONUNBUFFERED": "1", **given}


def _get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
