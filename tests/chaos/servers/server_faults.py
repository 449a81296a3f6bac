"""What happens to the servers while the storm goes on: nodes and clusters die, the database crashes.

One after the other, by shuffled decks. Besides, all commands come twice, and any process is hit at any moment.
"""

import asyncio
import random
from typing import Final

from chandlery.contracts.messages import Reconcile
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.model.faults import Fault
from tests.chaos.counting import verdict
from tests.chaos.platforms import Platform
from tests.chaos.servers.rabbitmq_cluster import RabbitmqCluster
from tests.chaos.servers.restartable_postgres import RestartablePostgres
from tests.chaos.supervisor import Supervisor

_PAUSE: Final = (0.5, 2.5)
_FAULTS: Final = ("node", "node", "whole", "postgres", "replay", *("kill", "stop") * 3)


class ServerFaults:
    """Every strike is over with all servers whole again."""

    def __init__(self, cluster: RabbitmqCluster, postgres: RestartablePostgres, *, seed: str) -> None:
        self._platform = cluster
        self._postgres = postgres
        self._draw = random.Random(seed)

    async def run(self, platform: Platform, supervisor: Supervisor, over: asyncio.Event) -> None:
        """Strike until it is over."""
        faults: list[str] = []
        while not over.is_set():
            await asyncio.sleep(self._draw.uniform(*_PAUSE))
            faults = faults or self._draw.sample(_FAULTS, len(_FAULTS))
            await self._strike(faults.pop(), platform, supervisor)

    async def _strike(self, fault: str, platform: Platform, supervisor: Supervisor) -> None:
        match fault:
            case "node":
                supervisor.tell("rabbitmq node killed")
                await self._restart(1)
            case "whole":
                supervisor.tell("rabbitmq all nodes killed")
                await self._restart(len(self._platform.nodes))
            case "postgres":
                supervisor.tell("postgresql immediate restart")
                await self._crash_postgres()
            case "replay":
                if await self._replay(platform):
                    supervisor.tell("all doubled command of each object")
            case "kill":
                supervisor.strike("kill")
            case _:
                supervisor.strike("stop")

    async def _restart(self, count: int) -> None:
        nodes = self._draw.sample(list(self._platform.nodes), count)
        self._platform.kill(*nodes)
        await asyncio.sleep(self._draw.uniform(0.5, 4))
        await self._platform.revive(*nodes)

    async def _crash_postgres(self) -> None:
        await self._postgres.shut_down_at_once()
        await asyncio.sleep(self._draw.uniform(0, 2))
        await self._postgres.start()

    async def _replay(self, platform: Platform) -> bool:
        """Send the command of every object that there is once more, in any order."""
        assert platform.share is not None
        rows = [*await verdict.all_commands(platform.database_url)]
        self._draw.shuffle(rows)
        bus = RabbitBus(platform.share.amqp_url, connection_name="chaos", prefix=platform.share.amqp_prefix)
        try:
            async with asyncio.timeout(20):
                await bus.start()
                await bus.publish([Reconcile(kind=kind, uid=uid, lane=lane) for kind, uid, lane in rows])
        except (Fault, TimeoutError):
            return False
        finally:
            await bus.close()
        return True
