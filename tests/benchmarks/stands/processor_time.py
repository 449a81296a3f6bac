"""Processor time and memory of whole systems: each process with its children, living and gone, as the kernel counts."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from servers.ledger import read_ledger
from tests.benchmarks.four_processes import Stack

PAIR: Final = os.environ.get("CHANDLERY_TEST_PAIR", "bench")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TITLES: Final = {"database": "postgresql", "amqp": "rabbitmq"}


def server_processes(pair: str = PAIR) -> dict[str, list[int]]:
    """The ids of the processes that were started for each private server, without their children."""
    return {_TITLES[kind]: [mark.pid for mark in record.processes] for kind, record in read_ledger(pair).items()}


def processor_seconds(systems: Mapping[str, list[int]]) -> dict[str, float]:
    """What each system has used so far: all its processes, and the children that have ended and were waited for."""
    children = _children()
    return {name: sum(_used(pid) for pid in _family(pids, children)) for name, pids in systems.items()}


def proportional_megabytes(systems: Mapping[str, list[int]]) -> dict[str, float]:
    """Memory of each system: what several processes share counts once, divided among them (PSS)."""
    children = _children()
    return {name: sum(_pss(pid) for pid in _family(pids, children)) for name, pids in systems.items()}


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each system from one reading to the next."""
    return {name: after[name] - before[name] for name in after}


def memory(stack: Stack) -> None:
    """Resident memory of each process."""
    for name, process in stack.processes.items():
        print(f"{name:14}{resident(process.pid):8.0f} MB resident{cpu_seconds(process.pid):8.2f} s of CPU")


def resident(pid: int) -> float:
    """Megabytes of memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def _family(pids: list[int], children: Mapping[int, list[int]]) -> Iterator[int]:
    for pid in pids:
        yield pid
        yield from _family(children.get(pid, []), children)


def _children() -> dict[int, list[int]]:
    found = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _fields(int(folder.name))):
            found[int(fields[1])].append(int(folder.name))
    return found


def _used(pid: int) -> float:
    # In user and system mode, and of children waited for: fields 14 to 17 of proc(5); the first here is 3.
    fields = _fields(pid)
    return sum(int(each) for each in fields[11:15]) / _TICKS if fields else 0.0


def _fields(pid: int) -> list[str]:
    try:
        # The second field is the command in brackets and may itself hold brackets and blanks.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
