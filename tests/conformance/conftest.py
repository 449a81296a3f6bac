"""The platform, on each backend in turn: once for the session, with a part of its own for each test."""

import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.conformance import platform_backends
from tests.conformance.platform import NewPlatform, Platform
from tests.conformance.platform_backends import AMQP_VARIABLE, DATABASE_VARIABLE, PlatformBackend
from tests.conformance.scripted.scripted_broker import ScriptedBroker, SeenRequest
from tests.conformance.whole_life import whole_life
from tests.support.selection import on_servers

_numbers = itertools.count(1)
_brokers: list[str] = []


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["embedded", on_servers("servers")])
async def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PlatformBackend]:
    """A running platform."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        async with platform_backends.embedded(folder) as running:
            yield running
        return
    if missing := [name for name in (DATABASE_VARIABLE, AMQP_VARIABLE) if not os.environ.get(name)]:
        pytest.fail(f"not set: {', '.join(missing)}; start the servers with `make services`", pytrace=False)
    async with platform_backends.servers(folder, lambda: _brokers) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sessions(backend: PlatformBackend) -> AsyncIterator[Sequence[aiohttp.ClientSession]]:
    """One for each gateway."""
    async with AsyncExitStack() as stack:
        opened = [aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) for url in backend.urls]
        yield [await stack.enter_async_context(session) for session in opened]


@pytest_asyncio.fixture(loop_scope="session")
async def broker() -> AsyncIterator[ScriptedBroker]:
    """A broker of the test's own; nobody knows it yet."""
    async with ScriptedBroker() as broker:
        yield broker


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def new_platform(backend: PlatformBackend, sessions: Sequence[aiohttp.ClientSession]) -> NewPlatform:
    """Makes parts of the platform, each empty but for a namespace. All that there is goes at the end of each."""

    @asynccontextmanager
    async def new(broker: ScriptedBroker) -> AsyncIterator[Platform]:
        number = next(_numbers)
        platform = Platform(backend, broker, sessions[number % len(sessions)], number)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}}
        await platform.api.made("/api/v1/namespaces", namespace)
        platform.offers()
        yield platform
        _brokers.extend(platform.registered)
        await backend.clear()

    return new


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lived(new_platform: NewPlatform) -> Sequence[SeenRequest]:
    """All that a broker was asked in a whole life, for tests that only look at it."""
    async with ScriptedBroker() as broker, new_platform(broker) as platform:
        await whole_life(platform)
        return broker.seen


@pytest_asyncio.fixture(loop_scope="session")
async def platform(new_platform: NewPlatform, broker: ScriptedBroker) -> AsyncIterator[Platform]:
    """The test's part of the platform."""
    async with new_platform(broker) as platform:
        yield platform
