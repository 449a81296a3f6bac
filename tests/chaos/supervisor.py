"""Keeps the processes going: starts what has died, with new faults, and wakes what was halted after its lease."""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.fault_injection import FAULTS, LEDGER, NAME, STORM, PlannedFault, Way
from tests.chaos.fault_steps import UNSTOPPABLE
from tests.e2e.stacks.programs import REPOSITORY, clean_environment

_LOOK_SECONDS: Final = 0.05


class Deck:
    """Every step with every way, shuffled; and again when all have been drawn."""

    def __init__(self, steps: Sequence[str], seed: str, *, latest: int = 6) -> None:
        """Each step is passed `latest` times at most."""
        ways: tuple[Way, ...] = ("kill", "stop")
        self._cards = [(step, way) for step in steps for way in ways if way == "kill" or step not in UNSTOPPABLE]
        self._draw = random.Random(seed)
        self._latest = latest
        self._left: list[tuple[str, Way]] = []

    def planned_faults(self) -> list[PlannedFault]:
        """For one life: it ends with a death."""
        chosen: list[PlannedFault] = []
        while not chosen or chosen[-1].way != "kill":
            if not self._left:
                self._left = self._draw.sample(self._cards, len(self._cards))
            step, way = self._left.pop()
            chosen.append(PlannedFault(step, self._draw.randint(1, self._latest), way))
        return chosen


@dataclass
class Slot:
    """A place for one process at a time."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    deck: Deck
    pid: int = 0
    due_at: float = 0.0
    """When it is to be started, or woken."""
    starts: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Supervisor:
    """Belongs to one platform; `folder` has a log for each slot, the ledger of faults, and the storm's own file."""

    def __init__(
        self, folder: Path, slots: Sequence[Slot], *, seed: str, halt_seconds: float, most_faults: int
    ) -> None:
        self.slots = list(slots)
        self._folder = folder
        self._halt_seconds = halt_seconds
        self._most_faults = most_faults
        self._draw = random.Random(seed)
        self._storm = folder / "storm"
        self._ledger = folder / "faults"
        self._ledger.touch()
        self._fork_server = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.fork_server"],
            cwd=REPOSITORY,
            env=clean_environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def close(self) -> None:
        """Everything ends with the fork server, halted processes as well."""
        self._fork_server.kill()
        self._fork_server.communicate()
        for slot in self.slots:
            _signal(slot.pid, signal.SIGKILL)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for slot in self.slots:
                self._look_after(slot)
            await asyncio.sleep(_LOOK_SECONDS)

    def storm(self) -> None:
        """From now on planned faults happen."""
        self._storm.touch()

    def calm(self) -> None:
        """Nothing happens any more, and nobody stays halted."""
        self._storm.unlink(missing_ok=True)
        for slot in self.slots:
            slot.due_at = 0.0

    def strike(self, way: Way) -> None:
        """Hit any process at any moment."""
        slot = self._draw.choice(self.slots)
        if _state(slot.pid) not in ("", "T"):
            _signal(slot.pid, signal.SIGKILL if way == "kill" else signal.SIGSTOP)
            self.tell(f"{slot.name} {way} any.moment")

    def tell(self, fault: str) -> None:
        """Enter a fault that somebody else has dealt: who, and the rest."""
        with self._ledger.open("a") as ledger:
            ledger.write(f"{fault}\n")

    def faults(self) -> list[str]:
        """`name way step` of each so far."""
        return self._ledger.read_text().splitlines()

    def run_once(self, *arguments: str, environment: Mapping[str, str]) -> int:
        """Start a process outside of all slots; returns its pid."""
        return self._start("once", arguments, environment)

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log")))

    def _look_after(self, slot: Slot) -> None:
        state, now = _state(slot.pid), time.monotonic()
        if state not in ("", "T"):
            slot.due_at = 0.0
            return
        if not slot.due_at and slot.pid and self._storm.exists():
            pause = self._draw.uniform(0, 1) if not state else self._halt_seconds * self._draw.uniform(1, 1.6)
            slot.due_at = now + pause
        if now < slot.due_at:
            return
        slot.due_at = 0.0
        if state:
            _signal(slot.pid, signal.SIGCONT)
        else:
            has_faults = sum(" doubled " not in fault for fault in self.faults()) < self._most_faults
            planned_faults = ",".join(str(fault) for fault in slot.deck.planned_faults()) if has_faults else ""
            seed = f"{slot.name} {next(slot.starts)}"
            slot.pid = self._start(
                slot.name, slot.arguments, {**slot.environment, FAULTS: planned_faults, "CHAOS_SEED": seed}
            )

    def _start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
        own = {STORM: str(self._storm), LEDGER: str(self._ledger), NAME: name, FAULTS: ""}
        log = str(self._folder / f"{name}.log")
        order = {"arguments": list(arguments), "environment": {**own, **environment}, "log": log}
        assert self._fork_server.stdin is not None
        self._fork_server.stdin.write(json.dumps(order) + "\n")
        self._fork_server.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._fork_server.stdout is not None
        line = self._fork_server.stdout.readline()
        assert line, "the fork server has died"
        return int(json.loads(line)["pid"])


def is_alive(pid: int) -> bool:
    return bool(_state(pid))


def _state(pid: int) -> str:
    """`T` for a halted process, empty for a dead one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text() if pid else ""
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state = text.rpartition(")")[2].split()[:1]
    return "" if not state or state[0] in "ZX" else state[0]


def _signal(pid: int, number: signal.Signals) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
