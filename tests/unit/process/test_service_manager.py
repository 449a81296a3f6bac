"""What systemd is told: over a real datagram socket, as sd_notify(3) and sd_watchdog_enabled(3) say it."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chandlery.process.service_manager import ServiceManager
from tests.support.waiting import eventually

PID = 4711


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd listens."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def told(listener: socket.socket) -> list[str]:
    """Every datagram so far."""
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(listener.recv(4096).decode())
    return found


def test_systemd_is_told_of_beginning_and_end(manager_socket: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()}, pid=PID)
    manager.ready("gateway")
    manager.stopping("gateway")
    assert told(manager_socket) == [
        "READY=1\nSTATUS=gateway is at work",
        "STOPPING=1\nSTATUS=gateway finishes what is in hand",
    ]


def test_a_name_outside_of_the_file_system_is_understood() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind("")
        name = listener.getsockname()[1:].decode()
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, pid=PID).ready("binder")
        assert listener.recv(4096).startswith(b"READY=1\n")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(PID)}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
    ids=["asked", "asked of us", "asked of another process", "switched off", "no number", "not asked"],
)
def test_the_watchdog_is_one_that_is_meant_for_this_process(
    environment: Mapping[str, str], seconds: float | None
) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/run/notify", **environment}, pid=PID).watchdog_seconds == seconds
    assert ServiceManager(environment, pid=PID).watchdog_seconds is None


async def test_the_event_loop_says_again_and_again_that_it_turns(manager_socket: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": manager_socket.getsockname(), "WATCHDOG_USEC": "30000"}
    alive = asyncio.create_task(ServiceManager(environment, pid=PID).keep_alive())
    seen: list[str] = []

    def look() -> int:
        seen.extend(told(manager_socket))
        return len(seen)

    await eventually(look, lambda count: count >= 3)
    assert set(seen) == {"WATCHDOG=1"}
    alive.cancel()


async def test_nobody_is_told_where_nobody_asks() -> None:
    with capture_logs() as logs:
        manager = ServiceManager({}, pid=PID)
        manager.ready("gateway")
        await manager.keep_alive()
    assert logs == []


def test_a_socket_that_is_gone_is_logged_and_ends_nothing(tmp_path: Path) -> None:
    with capture_logs() as logs:
        ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}, pid=PID).ready("gateway")
    assert [(line["action"], line["log_level"]) for line in logs] == [("tell_service_manager", "warning")]
    assert logs[0]["event"] == "systemd could not be told READY=1: No such file or directory"
