"""One run: a workload arrives and leaves while the storm goes on, and then everything has to be as it was specified."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.chaos.counting import verdict
from tests.chaos.counting.watcher import Watcher
from tests.chaos.gateways import CATALOG, Gateways
from tests.chaos.platforms import LEASE_SECONDS, Platform
from tests.chaos.supervisor import Supervisor, is_alive
from tests.chaos.workload import BINDINGS, INSTANCES, Workload, draw_workload
from tests.e2e.stacks.manifests import cluster_broker
from tests.e2e.stacks.programs import REPOSITORY, Program, clean_environment

Strikes = Callable[[Platform, Supervisor, asyncio.Event], Awaitable[None]]
"""Deals faults to what the platform stands on, until the event says that it is over."""

_START_SECONDS: Final = 90.0
_KINDS: Final = {INSTANCES: "ServiceInstance", BINDINGS: "ServiceBinding"}
_ENDS_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
_DROP: Final = 0.03


@dataclass
class Outcome:
    """What came of one run."""

    objects: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """Of processes as `service way step`."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Whatever else should not be: stuck messages, dead letters, gaps in a watch, answers 500."""

    @property
    def complaints(self) -> list[str]:
        return [
            f"{what}: {text}"
            for what in ("lost", "doubled", "orphaned", "odd")
            for text in list(dict.fromkeys(getattr(self, what)))
        ]


@dataclass
class Scene:
    """Everything of one run that a storm may strike."""

    platform: Platform
    supervisor: Supervisor
    gateways: Gateways
    workload: Workload
    watchers: Sequence[Watcher]
    broker: "BrokerProcess"
    outcome: Outcome

    async def count_faults(self) -> None:
        """Into the outcome, from the accounts of all who dealt some."""
        faults = Counter(_named(line) for line in self.supervisor.faults())
        drops = (await self.broker.ask("GET", "/ledger"))["drops"]
        self.outcome.faults.update(faults)
        self.outcome.faults.update({f"connection dropped {when}": count for when, count in drops.items()})


def _named(fault: str) -> str:
    """Replicas are told apart nowhere but in the account of faults."""
    name, _, rest = fault.partition(" ")
    return f"{name.partition('-')[0]} {rest}"


class BrokerProcess:
    """The counting broker."""

    def __init__(self, folder: Path, seed: str) -> None:
        self._program = Program(
            "counting broker",
            [*_ENDS_WITH_US, sys.executable, "-m", "tests.chaos.counting.counting_broker", "--seed", seed],
            environment=clean_environment(PYTHONPATH=str(REPOSITORY)),
            log=folder / "broker.txt",
        )
        self._program.start()
        self.url = ""

    async def ready(self) -> None:
        text = await asyncio.to_thread(self._program.await_log, "counting broker listens on", seconds=_START_SECONDS)
        found = re.search(r"listens on (http://\S+)", text)
        assert found is not None, text
        self.url = found[1]

    async def ask(self, method: str, path: str) -> Any:
        async with aiohttp.request(method, self.url + path) as response:
            return await response.json()

    def close(self) -> None:
        self._program.kill()


async def run_chaos(
    platform: Platform,
    folder: Path,
    *,
    seed: str,
    objects: int,
    strikes: Strikes | None = None,
    most_faults: int = 1_000_000,
    patience: float = 240.0,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Faults from the first creation to the last deletion, with a calm between to look at everything.

    After `most_faults` of them no faults are planned any more; `patience` is how long, in seconds, a change may take.
    """
    async with _scene(
        platform, folder, seed=seed, objects=objects, patience=patience, most_faults=most_faults
    ) as scene:
        for phase in (scene.workload.arrive, scene.workload.leave):
            say(f"{phase.__name__}: the storm begins")
            await _storm(scene, phase, strikes)
            say(f"{phase.__name__}: {len(scene.supervisor.faults())} faults so far; now it calms down")
            await _look(scene, say)
        await scene.count_faults()
        return scene.outcome


async def _storm(scene: Scene, phase: Callable[[], Awaitable[None]], strikes: Strikes | None) -> None:
    await scene.broker.ask("PUT", f"/storm?drop={_DROP}")
    scene.supervisor.storm()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        if strikes is not None:
            group.create_task(_dealt(strikes, scene, over))
        group.create_task(scene.workload.relist(verdict.BROKER, over))
        await phase()
        over.set()
    scene.supervisor.calm()
    await scene.broker.ask("PUT", "/storm?drop=0")


async def _dealt(strikes: Strikes, scene: Scene, over: asyncio.Event) -> None:
    await strikes(scene.platform, scene.supervisor, over)


async def _look(scene: Scene, say: Callable[[str], None]) -> None:
    outcome, platform = scene.outcome, scene.platform
    outcome.lost += await scene.workload.unfulfilled()
    say(f"all but {len(outcome.lost)} are as desired")
    found = await verdict.differences(scene.workload, scene.gateways, await scene.broker.ask("GET", "/ledger"))
    outcome.lost += found["lost"]
    outcome.doubled += found["doubled"]
    outcome.orphaned += found["orphaned"]
    looks: list[verdict.Look] = [
        partial(verdict.unseen, watcher, _KINDS[watcher.plural], platform.database_url) for watcher in scene.watchers
    ]
    looks.append(partial(verdict.left_in_tables, platform.database_url))
    if platform.share is not None:
        looks.append(partial(verdict.left_in_queues, platform.share, platform.share.amqp_url.partition(",")[0]))
    for look in looks:
        outcome.odd += await verdict.finally_nothing(look)
    say("everything was looked at")


@asynccontextmanager
async def _scene(
    platform: Platform, folder: Path, *, seed: str, objects: int, patience: float, most_faults: int
) -> AsyncIterator[Scene]:
    says: list[str] = []
    supervisor = Supervisor(folder, platform.slots, seed=seed, halt_seconds=LEASE_SECONDS, most_faults=most_faults)
    broker = BrokerProcess(folder, seed)
    tasks: list[asyncio.Task[None]] = []
    gateways: Gateways | None = None
    try:
        await broker.ready()
        if platform.share is not None:
            await _migrate(supervisor, platform)
        # Started calmly: no fault happens before everybody is there.
        tasks.append(asyncio.create_task(supervisor.run()))
        gateways = await _connect(platform, says)
        await gateways.create("clusterservicebrokers", cluster_broker(verdict.BROKER, broker.url), within=CATALOG)
        watchers = [Watcher(gateways, plural, says) for plural in _KINDS]
        workload = draw_workload(seed, objects, gateways, patience=patience)
        for watcher in watchers:
            await watcher.begin()
        outcome = Outcome(objects=objects, odd=says)
        tasks += [asyncio.create_task(work) for work in (workload.look(), *(watcher.run() for watcher in watchers))]
        yield Scene(platform, supervisor, gateways, workload, watchers, broker, outcome)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        supervisor.close()
        broker.close()
        if gateways is not None:
            await gateways.close()


async def _migrate(supervisor: Supervisor, platform: Platform) -> None:
    pid = supervisor.run_once("migrate", environment=platform.environment)
    async with asyncio.timeout(_START_SECONDS):
        while is_alive(pid):
            await asyncio.sleep(0.1)


async def _connect(platform: Platform, says: list[str]) -> Gateways:
    """Wait until every gateway answers."""
    async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
        for url in platform.urls:
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with session.get(f"{url}/readyz") as response:
                        if response.status == 200:
                            break
                await asyncio.sleep(0.1)
    return Gateways(platform.urls, platform.token, says)
