"""Two releases side by side on one database and one RabbitMQ: which process is of which, and a load that goes on."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from chandlery.store.sealing.sealing import new_key
from tests.chaos.counting import verdict
from tests.chaos.counting.watcher import Watcher
from tests.chaos.gateways import CATALOG, Gateways
from tests.chaos.run import BrokerProcess
from tests.chaos.workload import BINDINGS, INSTANCES, Workload, draw_workload
from tests.e2e.stacks.manifests import cluster_broker
from tests.e2e.stacks.programs import Program, free_port
from tests.e2e.stacks.servers import ServerShare
from tests.release.packages import environment_without_checkout
from tests.support.broker_places import BROKERS_OF_TESTS

WORKERS: Final = ("provisioner", "binder", "syncer")
SERVICES: Final = ("gateway", *WORKERS)
_TOKEN: Final = "token-of-the-upgrade"
_KINDS: Final = {INSTANCES: "ServiceInstance", BINDINGS: "ServiceBinding"}
_USERS: Final = 4
_START_SECONDS: Final = 120.0
_MIGRATION_SECONDS: Final = 180.0
_PATIENCE: Final = 90.0
_TROUBLES: Final = ("Traceback", "UndefinedColumn", "UndefinedTable", "SealBroken", "dead_letter")
"""What in a line of a log tells of a bug, or of something that could not be read."""
_PROGRESS: Final = 2
"""So many more objects are as specified before the next process comes or goes."""


class ReleaseFleet:
    """The four services of one release."""

    def __init__(self, name: str, chandlery: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{free_port()}"
        self._chandlery = chandlery
        self._environment = environment
        port = self.url.rpartition(":")[2]
        self.programs = {
            service: Program(
                f"{service} of {name}",
                [chandlery, service],
                environment={**environment, **({"CHANDLERY_PORT": port} if service == "gateway" else {})},
                log=folder / f"{name}-{service}.log",
            )
            for service in SERVICES
        }

    async def migrate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`chandlery migrate` of this release. Users go on meanwhile."""
        return await asyncio.to_thread(
            subprocess.run,
            [self._chandlery, "migrate", *words],
            env=dict(self._environment),
            capture_output=True,
            text=True,
            timeout=_MIGRATION_SECONDS,
            check=False,
        )

    async def start(self, *services: str) -> None:
        """Start these and wait until each is ready."""
        for service in services:
            self.programs[service].start()
        for service in services:
            program = self.programs[service]
            await asyncio.to_thread(program.await_log, '"process_ready"', seconds=_START_SECONDS)
            if service == "gateway":
                await _answers(f"{self.url}/readyz")

    async def stop(self, service: str) -> None:
        """End it in good order."""
        code = await asyncio.to_thread(self.programs[service].stop)
        assert code == 0, f"{service} of {self.name} ended with {code}:\n{self.programs[service].log_tail()}"

    def kill(self, service: str) -> None:
        """Let it die with what it has under way."""
        self.programs[service].kill()

    def clear(self) -> None:
        for program in self.programs.values():
            if program.is_running:
                program.kill()

    def troubles(self) -> list[str]:
        """Lines that tell of a bug or of something that could not be read: two releases that do not agree."""
        return [
            f"{program.name}: {line}"
            for program in self.programs.values()
            for line in program.log_tail(100_000).splitlines()
            if any(word in line for word in _TROUBLES)
        ]


@dataclass
class Rollout:
    """A load on whichever processes run, and what has to be true of it at the end."""

    share: ServerShare
    old: ReleaseFleet
    new: ReleaseFleet
    broker: BrokerProcess
    workload: Workload
    gateways: Gateways
    watchers: Sequence[Watcher]
    says: list[str] = field(default_factory=list)
    read_by_all: bool = True
    """Whether each release reads what the other has left in the outbox."""

    async def progress(self) -> None:
        """Wait until some more objects were made by whoever runs now, all of them begun from here on."""
        if not await self.workload.gets_on(_PROGRESS):
            running = [one.name for fleet in (self.old, self.new) for one in fleet.programs.values() if one.is_running]
            left, answers = await self.workload.unfulfilled(), dict(self.gateways.answers)
            raise AssertionError(f"{', '.join(running)} do not get on: {left[:5]}, answers {answers}")

    async def verdict(self) -> list[str]:
        """All that is lost, doubled, orphaned or odd, in sentences."""
        said = await self.workload.unfulfilled()
        found = await verdict.differences(self.workload, self.gateways, await self.broker.ask("GET", "/ledger"))
        said += [f"{what}: {text}" for what, texts in found.items() for text in texts]
        url = self.share.database_url
        looks: list[verdict.Look] = [
            partial(verdict.unseen, watcher, _KINDS[watcher.plural], url) for watcher in self.watchers
        ]
        looks += [
            partial(verdict.left_in_tables, url, read_by_all=self.read_by_all),
            partial(verdict.left_in_queues, self.share, self.share.amqp_url),
        ]
        for look in looks:
            said += await verdict.finally_nothing(look, seconds=_PATIENCE)
        return said + self.says + self.old.troubles() + self.new.troubles()


def fleets(share: ServerShare, folder: Path, old: str, new: str) -> tuple[ReleaseFleet, ReleaseFleet]:
    """Both with the same settings, but for those that only the new one has; `old` and `new` are their commands."""
    environment = environment_without_checkout(
        CHANDLERY_DATABASE_URL=share.database_url,
        CHANDLERY_AMQP_URL=share.amqp_url,
        CHANDLERY_AMQP_PREFIX=share.amqp_prefix,
        CHANDLERY_ENCRYPTION_KEYS=new_key("upgrade"),
        CHANDLERY_TOKEN=_TOKEN,
        CHANDLERY_LEASE_SECONDS="2",
        CHANDLERY_SWEEP_SECONDS="0.25",
        CHANDLERY_DATABASE_POOL_SIZE="5",
    )
    # The release before refuses settings that it does not know.
    known = {name: value for name, value in environment.items() if name not in BROKERS_OF_TESTS}
    return ReleaseFleet("old", old, known, folder), ReleaseFleet("new", new, environment, folder)


@asynccontextmanager
async def rollout(
    share: ServerShare, folder: Path, old: ReleaseFleet, new: ReleaseFleet, *, seed: str
) -> AsyncIterator[Rollout]:
    """A load from here to the end of the block, through whichever gateway answers; one of them has to."""
    says: list[str] = []
    broker = BrokerProcess(folder, seed)
    gateways = Gateways([old.url, new.url], _TOKEN, says)
    tasks: list[asyncio.Task[None]] = []
    try:
        await broker.ready()
        await gateways.create("clusterservicebrokers", cluster_broker(verdict.BROKER, broker.url), within=CATALOG)
        workload = draw_workload(seed, 0, gateways, patience=_PATIENCE)
        watchers = [Watcher(gateways, plural, says) for plural in _KINDS]
        for watcher in watchers:
            await watcher.begin()
        tasks += [asyncio.create_task(work) for work in (workload.look(), *(watcher.run() for watcher in watchers))]
        yield Rollout(share, old, new, broker, workload, gateways, watchers, says)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        old.clear()
        new.clear()
        broker.close()
        await gateways.close()


@asynccontextmanager
async def load(rollout: Rollout) -> AsyncIterator[None]:
    """Users come, change and leave as long as this lasts; at the end nobody wants anything more."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(rollout.workload.keep_arriving(over, users=_USERS))
        group.create_task(rollout.workload.relist(verdict.BROKER, over))
        try:
            yield
        finally:
            over.set()


async def _answers(url: str) -> None:
    async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError, OSError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
