"""Hostile input against a gateway on either database (`api`), or against all services in one loop (`platform`).

A test fails if anything in it holds the event loop. What it sends is to be made in module scope or by
`asyncio.to_thread`: making it would hold the loop as well. A test that is no coroutine counts as one step of the loop.
"""

import itertools
from collections.abc import AsyncIterator, Iterator

import aiohttp
import anyio
import pytest
import pytest_asyncio

from tests.conformance import platform_backends
from tests.conformance.platform import Platform
from tests.conformance.platform_backends import PlatformBackend
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.conftest import postgres_databases, sqlite_template
from tests.integration.gateway.conftest import api, gateway, own_gateway, own_url, shared_gateway, shared_url, store
from tests.security.loop_watchdog import LoopWatchdog, watched_loop

__all__ = [
    "api",
    "gateway",
    "own_gateway",
    "own_url",
    "postgres_databases",
    "shared_gateway",
    "shared_url",
    "sqlite_template",
    "store",
]


_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlatformBackend]:
    """All services, on SQLite and the in-process bus."""
    async with platform_backends.embedded(tmp_path_factory.mktemp("security")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def platform(whole: PlatformBackend) -> AsyncIterator[Platform]:
    """The test's part of a platform, with a broker that does as it is told."""
    async with ScriptedBroker() as broker, aiohttp.ClientSession(whole.urls[0]) as session:
        platform = Platform(whole, broker, session, next(_numbers))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}}
        await platform.api.made("/api/v1/namespaces", namespace)
        platform.offers()
        yield platform
        await whole.clear()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def loop_watchdog() -> AsyncIterator[LoopWatchdog]:
    """Fails the test if nothing else gets a turn for 50 ms of processor time."""
    # The first call finds the part that goes with the loop, which pytest writes anew in a fresh clone.
    anyio.current_time()
    async with watched_loop() as watchdog:
        yield watchdog


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Called by pytest around the test itself, without its fixtures."""
    watchdog: LoopWatchdog = getattr(item, "funcargs", {})["loop_watchdog"]
    watchdog.begin()
    try:
        yield
    finally:
        watchdog.end()
    if watchdog.holds:
        pytest.fail("\n".join(map(str, watchdog.holds)), pytrace=False)
