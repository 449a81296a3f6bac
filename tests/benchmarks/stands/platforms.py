"""A whole platform to measure: its address, and all the processes that work for it, those of the servers too."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

import aiohttp

from tests.benchmarks.four_processes import COMMAND, SERVICES, Stack, four_processes, free_port
from tests.benchmarks.stands.clients import Client
from tests.benchmarks.stands.databases import fresh_database, server_urls
from tests.benchmarks.stands.embedded import embedded
from tests.benchmarks.stands.processor_time import processor_seconds, proportional_megabytes, server_processes
from tests.benchmarks.stands.wire import Traffic, counted

Mode = Literal["servers", "embedded"]
MODES: Final[tuple[Mode, ...]] = ("servers", "embedded")


@dataclass(frozen=True)
class Platform:
    """One that is ready."""

    mode: Mode
    stack: Stack
    systems: Mapping[str, list[int]]
    """Ids of processes, by service and server."""
    database_url: str = ""
    traffic: Traffic = field(default_factory=Traffic)
    """To and from the servers, where it is counted."""

    def processor_seconds(self) -> dict[str, float]:
        """Used so far, by service and server."""
        return processor_seconds(self.systems)

    def megabytes(self) -> dict[str, float]:
        """Memory (PSS) now, by service and server."""
        return proportional_megabytes(self.systems)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """With as many connections as are needed."""
        trust = self.stack.trust
        connector = aiohttp.TCPConnector(limit=0, ssl=trust) if trust else aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Client(session, self.stack)


@contextlib.contextmanager
def platform(
    mode: Mode,
    *,
    command: str = COMMAND,
    settings: Mapping[str, str] = MappingProxyType({}),
    is_counted: bool = False,
) -> Iterator[Platform]:
    """Four processes on the private servers, with an empty database; or the all-in-one on an empty folder.

    Where it `is_counted`, all goes to the servers through relays, which takes time of its own.
    """
    if mode == "embedded":
        with embedded(command=command, settings=settings) as stack:
            yield Platform(mode, stack, _processes(stack))
        return
    database, amqp = server_urls()
    with contextlib.ExitStack() as stack:
        direct = stack.enter_context(fresh_database(database))
        url, amqp, traffic = stack.enter_context(counted(direct, amqp)) if is_counted else (direct, amqp, Traffic())
        ports = {name: free_port() for name in SERVICES}
        processes = stack.enter_context(
            four_processes(database_url=url, amqp_url=amqp, ports=ports, settings=settings, command=command)
        )
        yield Platform(mode, processes, {**_processes(processes), **server_processes()}, direct, traffic)


def _processes(stack: Stack) -> dict[str, list[int]]:
    return {name: [process.pid] for name, process in stack.processes.items()}
