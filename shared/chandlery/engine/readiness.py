"""What a process needs to do its work, as named parts that are looked at when somebody asks.

The composition adds database and bus, the process its start and its end, a service what only it knows of. `probes`
answers `/readyz` from here, in the words of kube-apiserver.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from chandlery.model.faults import Fault, Unavailable

PART_SECONDS: Final = 3.0

Check = Callable[[], Awaitable[None]]
"""Raises a Fault whose message says, without any secret, why the part does not work."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that has to work."""

    name: str
    check: Check
    without: str = ""
    """What goes on although it does not work; a part of which this is said does not make the process unready."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How a part is."""

    part: Part
    failure: str = ""
    """Why it does not work; empty if it does."""

    @property
    def is_in_the_way(self) -> bool:
        """Whether the process cannot work because of it."""
        return bool(self.failure) and not self.part.without


class Readiness:
    """The parts of one process."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._looks: dict[str, asyncio.Task[Finding]] = {}
        self.latest: dict[str, Finding] = {}
        """What the last look at each part has found."""

    def add(self, name: str, check: Check, *, without: str = "") -> None:
        """From now on it is looked at too; a part of the same name is replaced. For `without` see Part."""
        self._parts[name] = Part(name=name, check=check, without=without)

    @property
    def names(self) -> Collection[str]:
        """Of all parts, in the order in which they were added."""
        return self._parts.keys()

    async def look(self, names: Collection[str]) -> list[Finding]:
        """How these parts are now; the slowest decides how long that takes, at most `PART_SECONDS`."""
        wanted = [self._looked_at(part) for name, part in self._parts.items() if name in names]
        # Shielded: a client that hangs up must not take the answer from the others.
        return list(await asyncio.gather(*(asyncio.shield(look) for look in wanted)))

    def _looked_at(self, part: Part) -> "asyncio.Task[Finding]":
        """One look for all who ask meanwhile: probes want no token, and must not use up the database's connections."""
        look = self._looks.get(part.name)
        if look is None:
            look = self._looks[part.name] = asyncio.create_task(_finding(part))
            look.add_done_callback(lambda done: self._note(part.name, done))
        return look

    def _note(self, name: str, look: "asyncio.Task[Finding]") -> None:
        self._looks.pop(name, None)
        if not look.cancelled():
            self.latest[name] = look.result()


async def _finding(part: Part) -> Finding:
    try:
        async with asyncio.timeout(PART_SECONDS):
            await part.check()
    except Fault as fault:
        return Finding(part=part, failure=fault.message)
    except TimeoutError:
        return Finding(part=part, failure=f"no answer within {PART_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 - of an unforeseen one the probe should tell, not fall silent
        log.warning(f"{part.name} could not be checked: {type(error).__name__}", action="check_readiness")
        return Finding(part=part, failure=f"it could not be checked ({type(error).__name__})")
    return Finding(part=part)


def unless(is_so: Callable[[], object], why: str) -> Check:
    """A check that fails, with these words, while something is so."""

    async def check() -> None:
        if is_so():
            raise Unavailable(why)

    return check
