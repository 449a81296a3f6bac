"""What systemd is told of this process: that it is ready, that it is stopping, and that its event loop still turns.

Called by: `process.py`, in every process. Whoever is not started by systemd has no `NOTIFY_SOCKET`, and then nothing
is sent. The protocol is that of sd_notify(3): datagrams of `NAME=value` lines to a Unix socket. The unit asks for it
with `Type=notify` and `WatchdogSec=` (deploy/systemd, docs/adr/0069-units-image-and-compose.md).
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

import structlog

log = structlog.get_logger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
_TOLD_IN_ONE_INTERVAL: Final = 3
_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """Tells systemd, if that has started this process."""

    def __init__(self, environment: Mapping[str, str], *, pid: int) -> None:
        """`environment` is that of the process: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`."""
        self._address = _socket_address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog_seconds = _watchdog_seconds(environment, pid) if self._address else None

    @property
    def watchdog_seconds(self) -> float | None:
        """After how long a silence systemd ends this process; None if it does not wait for a word."""
        return self._watchdog_seconds

    def ready(self, name: str) -> None:
        """Everything has started: `systemctl start` may return."""
        self._tell(READY, f"STATUS={name} is at work")

    def stopping(self, name: str) -> None:
        """The end has begun."""
        self._tell(STOPPING, f"STATUS={name} finishes what is in hand")

    async def keep_alive(self) -> None:
        """Say for ever that the event loop turns; returns at once where nobody asks. Ends by cancellation."""
        if self._watchdog_seconds is None:
            return
        while True:
            self._tell(ALIVE)
            await asyncio.sleep(self._watchdog_seconds / _TOLD_IN_ONE_INTERVAL)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as way:
                way.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            # It works as well as before; who does not hear of it is told by its own time limit.
            log.warning(f"systemd could not be told {lines[0]}: {error.strerror}", action="tell_service_manager")


def service_manager() -> ServiceManager:
    """That of this process."""
    return ServiceManager(os.environ, pid=os.getpid())


def _socket_address(name: str) -> str | None:
    """A path, or with `@` in front a name in Linux's own space of names; nothing else is known."""
    if name.startswith("@"):
        return f"\0{name[1:]}"
    return name if name.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    """What sd_watchdog_enabled(3) finds: an interval, if it is meant for this process."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / _MICROSECONDS if text.isdigit() and int(text) > 0 else None
