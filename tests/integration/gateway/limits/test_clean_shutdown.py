"""The end of a gateway: first it is not ready, then it stops listening, then it ends its watches and its requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from tests.integration.gateway.api_client import SECRETS, TEAM, namespace, secret
from tests.integration.gateway.conftest import TOKEN, Running, serving
from tests.support.waiting import SOON

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def _ending(tmp_path_factory: pytest.TempPathFactory, delay: float) -> AsyncIterator[Running]:
    """A gateway that goes on for so long after it was told to stop."""
    settings = Settings(
        database_url=SecretStr(f"sqlite:///{tmp_path_factory.mktemp('ending') / 'chandlery.db'}"),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token=SecretStr(TOKEN),
        port=0,
        shutdown_delay_seconds=delay,
    )
    async with serving(settings) as running:
        await running.api.made("/api/v1/namespaces", namespace("team"))
        yield running


async def test_gateway_serves_on_while_it_is_not_ready_any_more(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with _ending(tmp_path_factory, delay=1.5) as running, running.api.watch(SECRETS) as watch:
        assert (await running.api.get("/readyz")).status == 200
        assert "Connection" not in (await running.api.get(SECRETS)).headers
        running.stop.set()
        unready = await running.api.get("/readyz")
        assert (unready.status, unready.payload) == (
            503,
            (
                b"[+]ping ok\n[+]database ok\n[+]restored-work ok\n[+]bus ok\n"
                b"[-]shutdown failed: it is stopping and accepts no new work\n[+]watches ok\n"
                b"[+]access-rules ok\nreadyz check failed\n"
            ),
        )
        assert (await running.api.get("/livez")).status == 200
        made = await running.api.post(SECRETS, secret("late", a="b"))
        assert made.status == 201
        # So that clients who keep connections move on before they are closed.
        assert made.headers["Connection"] == "close"
        assert (await watch.next())["object"]["metadata"]["name"] == "late"
        # A clean end: a watch that was cut would raise.
        assert await watch.rest() == []
        async with asyncio.timeout(SOON):
            await running.serving


async def test_gateway_without_a_delay_ends_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with _ending(tmp_path_factory, delay=0) as running, running.api.watch(f"{TEAM}/serviceinstances") as watch:
        running.stop.set()
        assert await watch.rest() == []
        async with asyncio.timeout(SOON):
            await running.serving
