"""Programs under test: each writes a log, ends by its signal, and is killed on purpose where a test says so."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.support.broker_places import BROKERS_OF_TESTS
from tests.support.waiting import SOON, wait_for

SeenT = TypeVar("SeenT")

LOOPBACK: Final = "127.0.0.1"
REPOSITORY: Final = Path(__file__).resolve().parents[3]
CHANDLERY: Final = str(Path(sys.executable).with_name("chandlery"))
# Below the range Linux gives to outgoing connections, so that nobody is handed the port of a program that restarts.
_FIRST, _LAST = 20_000, 32_000


def free_port() -> int:
    """A port nobody listens on now."""
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def clean_environment(**given: str) -> dict[str, str]:
    """The environment of a program: nothing of ours is inherited from whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHANDLERY_")}
    return {**inherited, "PYTHONUNBUFFERED": "1", **BROKERS_OF_TESTS, **given}


class Program:
    """One program that can be started, ended and started again; its log goes on."""

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._log = log
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """As it is started with."""
        return self._environment

    def set(self, **variables: str) -> None:
        """For the next start."""
        self._environment |= variables

    def start(self) -> None:
        assert not self.is_running, f"{self.name} runs already"
        self._log.touch()
        self._log_start = self._log.stat().st_size
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Let it die without a chance to do anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = SOON) -> int:
        """Wait for its end and answer the exit code; kills it and fails if it does not end."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds:.0f} s:\n{self.log_tail()}") from None

    def stop(self, seconds: float = SOON) -> int | None:
        """SIGTERM and the exit code; None if it had not been started or has ended before."""
        if not self.is_running:
            return None
        self.signal()
        return self.wait(seconds)

    def log_text(self) -> str:
        """What it has written since it was started last."""
        return self._log.read_bytes()[self._log_start :].decode(errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        """The end of its log, starts before the last included."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def await_log(self, part: str, *, seconds: float = SOON) -> str:
        """Wait until it has written `part` since its start, and answer its log; fails when it ends without."""

        def look() -> tuple[str, bool]:
            was_running = self.is_running
            return self.log_text(), was_running

        text, _ = wait_for(
            look,
            lambda seen: part in seen[0] or not seen[1],
            what=f"{part!r} in the log of {self.name}",
            seconds=seconds,
        )
        assert part in text, f"{self.name} ended before it wrote {part!r}:\n{text}"
        return text
