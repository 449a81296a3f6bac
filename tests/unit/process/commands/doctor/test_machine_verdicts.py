"""What is thought of the machine: open files, room on disks, who may read files with secrets."""

import resource
from pathlib import Path

import pytest

from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import machine_verdicts
from chandlery.process.commands.doctor.verdicts.machine_verdicts import FileMode


@pytest.mark.parametrize(
    ("limit", "state", "said"),
    [
        (65_536, State.OK, "65,536 files"),
        (resource.RLIM_INFINITY, State.OK, "any number of files"),
        (1_024, State.WARN, "takes 814 connections instead of 2,000"),
        (240, State.FAIL, "a gateway does not start"),
    ],
)
def test_open_files_have_to_suffice_for_connections(limit: int, state: State, said: str) -> None:
    found = machine_verdicts.open_files(limit, connections=2_000, pool=10)
    assert (found.state, said in found.message) == (state, True)
    assert ("ulimit -n 2210" in found.remedy) == (state is not State.OK)


@pytest.mark.parametrize(("free", "state"), [(5 << 30, State.OK), (500 << 20, State.WARN), (5 << 20, State.FAIL)])
def test_room_on_a_disk_runs_out(free: int, state: State) -> None:
    assert machine_verdicts.room("the database", Path("/data"), free=free).state is state


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, State.OK), (0o640, State.OK), (0o644, State.WARN), (0o602, State.FAIL)]
)
def test_a_file_with_a_secret_is_not_for_everybody(mode: int, state: State) -> None:
    found = machine_verdicts.secrecy(FileMode("CHANDLERY_TOKEN_FILE", Path("/a b"), mode))
    assert found.state is state
    assert found.remedy == ("" if state is State.OK else "chmod o= '/a b'")
