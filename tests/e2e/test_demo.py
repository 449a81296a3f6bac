"""`make demo` as a user meets it: it succeeds, it is stopped, it fails."""

import re
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import Launcher
from tests.e2e.stacks.programs import LOOPBACK, REPOSITORY, Program

_DEMO_SECONDS: Final = 120.0


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """What the demonstration takes for the system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_demo_walks_through_and_leaves_nothing_behind(launch: Launcher, temporary: Path) -> None:
    demo = _demo(launch, temporary)
    assert demo.wait(_DEMO_SECONDS) == 0, demo.log_tail()
    text = demo.log_text()
    assert re.search(r"^demo-broker {3}http://127\.0\.0\.1:\d+ {3}Ready {4}\d+s$", text, re.MULTILINE)
    assert "username: abc\n" in text
    assert "password: 123456\n" in text
    assert 'clusterservicebroker.servicecatalog.k8s.io "demo-broker" deleted' in text
    assert re.fullmatch(r"Done: \d+ commands, everything created was deleted again, \d+\.\d s\.", text.splitlines()[-1])
    assert "\033" not in text
    assert list(temporary.iterdir()) == []


def test_demo_ends_its_servers_when_it_is_interrupted(launch: Launcher, temporary: Path) -> None:
    demo = _demo(launch, temporary)
    text = demo.await_log("kubectl create -f demo-broker.yaml", seconds=_DEMO_SECONDS)
    demo.signal(signal.SIGINT)
    assert demo.wait() == 130
    assert "Traceback" not in demo.log_text()
    ports = [int(port) for port in re.findall(r"listens on https?://127\.0\.0\.1:(\d+)", text)]
    assert len(ports) == 2
    assert not any(_is_listened_on(port) for port in ports)
    assert list(temporary.iterdir()) == []


def test_demo_shows_logs_and_a_way_out_when_a_command_fails(launch: Launcher, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho no such luck >&2\nexit 7\n")
    (tmp_path / "kubectl").chmod(0o755)
    demo = _demo(launch, temporary, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert demo.wait(_DEMO_SECONDS) == 1
    text = demo.log_text()
    assert "no such luck" in text
    assert "--- the last lines of demo broker:\ndemo broker listens on" in text
    assert "--- the last lines of chandlery up:" in text
    assert "error: `kubectl create -f demo-broker.yaml` failed with status 7\n" in text
    assert "make clean" in text
    assert "Traceback" not in text
    assert list(temporary.iterdir()) == []


def _demo(launch: Launcher, temporary: Path, **environment: str) -> Program:
    command = [sys.executable, str(REPOSITORY / "scripts" / "demo.py")]
    return launch(command, name="demo", TMPDIR=str(temporary), **environment)


def _is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
