"""The load: instances with a binding each are created, changed and deleted by users who do not always wait."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.counting.counting_broker import SERVICE
from tests.chaos.gateways import CATALOG, NAMESPACED, Gateways
from tests.e2e.stacks.api_client import is_ready
from tests.e2e.stacks.manifests import binding, instance

JsonObject = dict[str, Any]
Board = Mapping[str, Mapping[str, JsonObject]]

INSTANCES: Final = "serviceinstances"
BINDINGS: Final = "servicebindings"
_LOOK_SECONDS: Final = 0.4
_RELIST_SECONDS: Final = 1.0


@dataclass
class ObjectLifecycle:
    """One instance and its binding. Names are the same."""

    name: str
    size: int
    leaves_early: bool
    """Deleted while the others are still made."""
    is_gone: bool = False


@dataclass
class Workload:
    """All objects of one run, drawn from a seed."""

    gateways: Gateways
    seed: str
    draw: random.Random
    lifecycles: list[ObjectLifecycle]
    stays_patient: float
    """Seconds until a change that has not happened counts as lost."""
    board: Board = field(default_factory=dict)
    relists: int = 0
    looks: int = 0

    async def arrive(self) -> None:
        """Create and change everything, and delete some of it again; returns when nobody wants anything more."""
        async with asyncio.TaskGroup() as group:
            for lifecycle in self.lifecycles:
                group.create_task(self._arrive_late(lifecycle))

    async def keep_arriving(self, over: asyncio.Event, *, users: int) -> None:
        """So many users make one new object after the other until the event; returns when none wants anything more."""
        async with asyncio.TaskGroup() as group:
            for _ in range(users):
                group.create_task(self._make_one_after_the_other(over))

    async def _make_one_after_the_other(self, over: asyncio.Event) -> None:
        while not over.is_set():
            name = f"life-{self.seed}-{len(self.lifecycles)}"
            lifecycle = ObjectLifecycle(name, self.draw.randrange(1000), leaves_early=self.draw.random() < 0.5)
            self.lifecycles.append(lifecycle)
            await self._live_through(lifecycle, _draw_of(lifecycle))

    async def leave(self) -> None:
        """Delete all that is left."""
        async with asyncio.TaskGroup() as group:
            for lifecycle in self.lifecycles:
                if not lifecycle.leaves_early:
                    group.create_task(self._end(lifecycle, random.Random(f"{lifecycle.size} {lifecycle.name}")))

    async def relist(self, broker: str, over: asyncio.Event) -> None:
        """Ask for the catalog again and again, so that the syncer has something to die at."""
        while not over.is_set():
            self.relists += 1
            change = {"spec": {"relistRequests": self.relists}}
            await self.gateways.patch("clusterservicebrokers", broker, change, within=CATALOG)
            await asyncio.sleep(_RELIST_SECONDS)

    async def look(self) -> None:
        """Keep the board up to date, until cancelled."""
        while True:
            with suppress(AssertionError):
                self.board = {
                    plural: await self.gateways.list(f"{NAMESPACED}/{plural}") for plural in (INSTANCES, BINDINGS)
                }
                self.looks += 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def unfulfilled(self) -> list[str]:
        """What has not become as it was specified, after all patience."""
        deadline = time.monotonic() + self.stays_patient
        # The board may be from before the last change. A look that was under way counts as well.
        fresh = self.looks + 2
        while (self.looks < fresh or self._left()) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS / 2)
        return self._left()

    async def gets_on(self, count: int) -> bool:
        """Whether so many of those that begin from here on become as they were specified, within all patience."""
        deadline, first = time.monotonic() + self.stays_patient, len(self.lifecycles)
        while self._settled_since(first) < count:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS / 2)
        return True

    def _settled_since(self, first: int) -> int:
        staying = [lifecycle for lifecycle in self.lifecycles[first:] if not lifecycle.is_gone]
        return sum(not any(self._missing(each, plural) for plural in (INSTANCES, BINDINGS)) for each in staying)

    def _left(self) -> list[str]:
        return [
            text
            for lifecycle in self.lifecycles
            for plural in (INSTANCES, BINDINGS)
            if (text := self._missing(lifecycle, plural))
        ]

    def _missing(self, lifecycle: ObjectLifecycle, plural: str) -> str:
        found = self.board.get(plural, {}).get(lifecycle.name)
        if lifecycle.is_gone:
            return f"{plural} {lifecycle.name} is still there: {_state(found)}" if found else ""
        if found is None:
            return f"{plural} {lifecycle.name} is not there"
        return "" if _is_settled(found) else f"{plural} {lifecycle.name} is {_state(found)}"

    async def _arrive_late(self, lifecycle: ObjectLifecycle) -> None:
        draw = _draw_of(lifecycle)
        await asyncio.sleep(draw.uniform(0, 0.02 * len(self.lifecycles)))
        await self._live_through(lifecycle, draw)

    async def _live_through(self, lifecycle: ObjectLifecycle, draw: random.Random) -> None:
        await self.gateways.create(INSTANCES, instance(lifecycle.name, SERVICE, parameters={"size": lifecycle.size}))
        await self._perhaps_wait(INSTANCES, lifecycle.name, draw)
        await self.gateways.create(BINDINGS, binding(lifecycle.name, lifecycle.name))
        await self._perhaps_wait(BINDINGS, lifecycle.name, draw)
        for _ in range(draw.randint(0, 2)):
            lifecycle.size += 1
            await self.gateways.patch(INSTANCES, lifecycle.name, {"spec": {"parameters": {"size": lifecycle.size}}})
            await self._perhaps_wait(INSTANCES, lifecycle.name, draw)
        if lifecycle.leaves_early:
            await self._end(lifecycle, draw)

    async def _end(self, lifecycle: ObjectLifecycle, draw: random.Random) -> None:
        await self.gateways.delete(BINDINGS, lifecycle.name)
        if draw.random() < 0.5:
            await self._until(lambda: lifecycle.name not in self.board.get(BINDINGS, {}))
        await self.gateways.delete(INSTANCES, lifecycle.name)
        lifecycle.is_gone = True

    async def _perhaps_wait(self, plural: str, name: str, draw: random.Random) -> None:
        if draw.random() < 0.6:
            await self._until(lambda: _is_settled(self.board.get(plural, {}).get(name)))

    async def _until(self, accept: Callable[[], bool]) -> None:
        # Who has waited in vain goes on all the same; what does not happen in the end is counted there.
        deadline = time.monotonic() + self.stays_patient / 2
        while not accept() and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS / 2)


def draw_workload(seed: str, size: int, gateways: Gateways, *, patience: float) -> Workload:
    """`size` objects, half of them instances."""
    draw = random.Random(seed)
    lifecycles = [
        ObjectLifecycle(f"life-{seed}-{number}", draw.randrange(1000), leaves_early=draw.random() < 0.4)
        for number in range(size // 2)
    ]
    return Workload(gateways, seed, draw, lifecycles, patience)


def _draw_of(lifecycle: ObjectLifecycle) -> random.Random:
    return random.Random(f"{lifecycle.name} {lifecycle.size}")


def _is_settled(found: JsonObject | None) -> bool:
    if found is None or not is_ready(found):
        return False
    status = found["status"]
    observed = int(status.get("observedGeneration") or status.get("reconciledGeneration") or 0)
    return observed == found["metadata"]["generation"] and not status.get("asyncOpInProgress")


def _state(found: JsonObject | None) -> str:
    said = [f"{each['type']}={each['status']} ({each['reason']}: {each['message']})" for each in
            ((found or {}).get("status") or {}).get("conditions") or []]  # fmt: skip
    return "; ".join(said) or "without conditions"
