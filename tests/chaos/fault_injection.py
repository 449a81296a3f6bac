"""Death at an exact step: the n-th passing of a planned step ends its process by SIGKILL or halts it by SIGSTOP.

A fault is written `step:passing:way`; several, with commas between them, are armed one after the other, since a process
outlives a halt. Nothing happens after the storm: the file that stands for it is gone then.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Way = Literal["kill", "stop"]
FAULTS: Final = "CHAOS_FAULTS"
STORM: Final = "CHAOS_STORM"
LEDGER: Final = "CHAOS_LEDGER"
NAME: Final = "CHAOS_NAME"
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True)
class PlannedFault:
    """What happens where; `passing` counts from 1."""

    step: str
    passing: int
    way: Way

    def __str__(self) -> str:
        return f"{self.step}:{self.passing}:{self.way}"


def parse_faults(text: str) -> list[PlannedFault]:
    """The opposite of joining them with commas."""
    parts = [each.split(":") for each in text.split(",") if each]
    return [PlannedFault(step, int(passing), "kill" if way == "kill" else "stop") for step, passing, way in parts]


class FaultInjector:
    """The planned faults of this process, and its account of what it did to itself."""

    def __init__(self, planned_faults: Sequence[PlannedFault], *, name: str, storm: Path, ledger: Path) -> None:
        self._planned = list(planned_faults)
        self._name = name
        self._storm = storm
        self._ledger = ledger
        self._passed = 0

    @classmethod
    def of_environment(cls) -> "FaultInjector":
        env = os.environ
        return cls(parse_faults(env[FAULTS]), name=env[NAME], storm=Path(env[STORM]), ledger=Path(env[LEDGER]))

    @property
    def is_storming(self) -> bool:
        return self._storm.exists()

    def awaits(self, step: str) -> bool:
        """Whether the step is the one that comes next."""
        return bool(self._planned) and self._planned[0].step == step

    def passing(self, step: str) -> None:
        """Called at each passing of each step; does not return where it kills."""
        if not self.awaits(step) or not self.is_storming:
            return
        self._passed += 1
        if self._passed < self._planned[0].passing:
            return
        fault = self._planned.pop(0)
        self._passed = 0
        self.tell(f"{fault.way} {fault.step}")
        os.kill(os.getpid(), _SIGNALS[fault.way])

    def tell(self, fault: str) -> None:
        """One line of the ledger, whole even if others write at the same moment, and there before the end."""
        descriptor = os.open(self._ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{self._name} {fault}\n".encode())
        finally:
            os.close(descriptor)
