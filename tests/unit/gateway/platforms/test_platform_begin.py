"""What has to be there before a gateway serves is waited for, unless the process is to end."""

import asyncio
from typing import Any, cast

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.platforms.gateway_platform import GatewayPlatform, has_begun


class Waiting:
    """A platform whose surroundings are not there yet."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.there = asyncio.Event()
        self.fault: Exception | None = None
        self.is_given_up = False

    async def begin(self) -> None:
        self.waits.set()
        try:
            await self.there.wait()
        except asyncio.CancelledError:
            self.is_given_up = True
            raise
        if self.fault is not None:
            raise self.fault


def beginning(platform: Waiting, stop: asyncio.Event) -> "asyncio.Task[bool]":
    return asyncio.create_task(has_begun(cast("GatewayPlatform", cast("Any", platform)), stop))


async def test_what_comes_is_waited_for() -> None:
    platform, stop = Waiting(), asyncio.Event()
    task = beginning(platform, stop)
    await platform.waits.wait()
    platform.there.set()
    assert await task


async def test_process_that_is_to_end_waits_no_longer() -> None:
    platform, stop = Waiting(), asyncio.Event()
    task = beginning(platform, stop)
    await platform.waits.wait()
    stop.set()
    assert not await task
    assert platform.is_given_up


async def test_what_is_wrong_is_told() -> None:
    platform, stop = Waiting(), asyncio.Event()
    platform.fault = ConfigurationFault("wrong")
    platform.there.set()
    with pytest.raises(ConfigurationFault, match="wrong"):
        await beginning(platform, stop)
