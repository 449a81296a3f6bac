"""What checks share: the settings, and ways to database, keys and RabbitMQ that are opened once, when somebody asks.

Comes in: settings as a service would have them. Goes out: facts, each found out once; connections that only read.
Called by: the checks in `looks`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.contracts.topology import WORK_QUEUES, work_queue
from chandlery.model.faults import Fault
from chandlery.process.choices.bus_choice import IN_PROCESS_BUS, make_inspection
from chandlery.process.choices.key_choice import make_database
from chandlery.process.commands.doctor.daemon_thread import in_daemon_thread
from chandlery.settings.settings import Settings, require
from chandlery.store.connection.database_url import DatabaseUrl, read_database_url
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.inspection.server_facts import ServerFacts, server_facts
from chandlery.store.roles.grants import Role
from chandlery.store.sealing.sealing import Keyring

if TYPE_CHECKING:
    # What speaks AMQP is an extra.
    from chandlery.messaging.rabbitmq.connecting.rabbitmq_facts import RabbitFacts
    from chandlery.messaging.rabbitmq.rabbitmq_inspection import QueueFacts, RabbitInspection

T = TypeVar("T")

NAME: Final = "chandlery-doctor"
_CONNECTIONS: Final = 3
_CONNECT_SECONDS: Final = 3
"""For each host: the next one is to have its turn within the time of a check."""
_MOST_LANES: Final = 500
_CLOSE_SECONDS: Final = 3.0


class Once(Generic[T]):
    """An answer that all who ask share, while it is found out and afterwards."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._task: asyncio.Future[T] | None = None

    @property
    def is_there(self) -> bool:
        """Whether the answer is known, and no failure."""
        return (
            self._task is not None and self._task.done() and not self._task.cancelled() and not self._task.exception()
        )

    async def __call__(self) -> T:
        """The answer, or what asking raised."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._ask())
            # Whoever asked may be gone before it fails.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._task)


class Surroundings:
    """Of one run."""

    def __init__(self, settings: Settings, *, data_folder: Path | None = None, service: Role | None = None) -> None:
        """`data_folder` is that of `chandlery up`, if it is looked at; `service` is whose settings these are."""
        self.settings = settings
        self.data_folder = data_folder
        self.service = service
        self.server: Once[ServerFacts] = Once(self._server)
        self.sealed: Once[Database] = Once(self._sealed)
        self.rabbitmq_servers: Once[Sequence[RabbitFacts]] = Once(self._rabbitmq_servers)
        self.queues: Once[tuple[Mapping[str, QueueFacts | None], bool]] = Once(self._queues)

    @property
    def has_rabbitmq(self) -> bool:
        """Whether there is one, and not the bus within a process."""
        return self.settings.amqp_url.get_secret_value() != IN_PROCESS_BUS

    @cached_property
    def database_url(self) -> DatabaseUrl:
        """Raises ConfigurationFault."""
        require(self.settings, "database_url")
        return read_database_url(self.settings.database_url.get_secret_value())

    @cached_property
    def engine(self) -> AsyncEngine:
        """One that only reads. Raises ConfigurationFault."""
        return self.engine_for(self.database_url)

    def engine_for(self, url: DatabaseUrl) -> AsyncEngine:
        """The same for another address. Raises ConfigurationFault."""
        asked = int(url.parameters.get("connect_timeout", 0))
        patience = str(min(asked, _CONNECT_SECONDS) if asked > 0 else _CONNECT_SECONDS)
        return open_engine(
            replace(url, parameters={**url.parameters, "connect_timeout": patience}),
            application_name=NAME,
            pool_size=_CONNECTIONS,
            prepares=self.settings.database_prepared_statements,
            reads_only=True,
        )

    @cached_property
    def database(self) -> Database:
        """For what is not encrypted. Raises ConfigurationFault."""
        return Database(self.engine, Keyring([]))

    @cached_property
    def rabbitmq(self) -> "RabbitInspection":
        """Not connected before its servers are asked for. Raises ConfigurationFault."""
        require(self.settings, "amqp_url")
        return make_inspection(self.settings)

    async def close(self) -> None:
        """Let go of everything, within a few seconds."""
        closing: list[Awaitable[object]] = [self._close_keys()]
        if "rabbitmq" in self.__dict__:
            closing.append(self.rabbitmq.close())
        if "engine" in self.__dict__:
            closing.append(self.engine.dispose())
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*closing, return_exceptions=True)

    async def _close_keys(self) -> None:
        if self.sealed.is_there:
            await (await self.sealed()).data_keys.close()

    async def _server(self) -> ServerFacts:
        return await server_facts(self.engine)

    async def _sealed(self) -> Database:
        # A module of a hardware token is loaded by then.
        made = await in_daemon_thread(lambda: make_database(self.settings, self.engine))
        return made.database

    async def _rabbitmq_servers(self) -> Sequence["RabbitFacts"]:
        return await self.rabbitmq.servers()

    async def _queues(self) -> tuple[Mapping[str, "QueueFacts | None"], bool]:
        """Work queues by the contract's names, and whether the database could tell the lanes."""
        lanes, is_known = [UNRESOLVED_LANE], False
        with suppress(Fault, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                lanes = [*await self.database.run(lambda unit: unit.inspection.lanes())][:_MOST_LANES]
                is_known = True
        names = sorted({work_queue(kind, lane) for kind in WORK_QUEUES for lane in lanes})
        prefix = self.rabbitmq.topology.prefix
        found = await self.rabbitmq.queues([prefix + name for name in names])
        return {name: found[prefix + name] for name in names}, is_known
