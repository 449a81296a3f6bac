"""One platform in one process, in which every test has a namespace and a broker, once for each scope."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.conformance import platform_backends
from tests.conformance.platform_backends import PlatformBackend
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.scopes.scoped_platform import ScopedPlatform

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scopes_backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlatformBackend]:
    folder: Path = tmp_path_factory.mktemp("scopes")
    async with platform_backends.embedded(folder) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", params=["clusterService", "service"])
async def platform(scopes_backend: PlatformBackend, request: pytest.FixtureRequest) -> AsyncIterator[ScopedPlatform]:
    """The test's part of the platform; its offering has the plans `small` and `large`, which can be changed."""
    async with ScriptedBroker() as broker, aiohttp.ClientSession(scopes_backend.urls[0]) as session:
        platform = ScopedPlatform(scopes_backend, broker, session, next(_numbers), scope=request.param)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}}
        await platform.api.made("/api/v1/namespaces", namespace)
        platform.offers("small", "large", plan_updateable=True)
        yield platform
        await scopes_backend.clear()
