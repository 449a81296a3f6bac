"""What `main.py` asks of the platform that the gateway is on.

Comes in: settings and resources. Goes out: who knows users, who says what they may do, how the gateway listens, and
what has to be done before it serves and beside it. Called by: `main.py`, which knows of no difference.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from chandlery_gateway.http.listening import Listening
from chandlery_gateway.identity.authentication import Authenticator
from chandlery_gateway.identity.authorization import Authorizer
from chandlery_gateway.identity.rbac.kept_rules import KeptRules


class GatewayPlatform(Protocol):
    """The platform, as the gateway meets it."""

    @property
    def rules(self) -> KeptRules:
        """What follows roles along with the change log."""

    @property
    def authenticator(self) -> Authenticator:
        """Who knows users."""

    @property
    def authorizer(self) -> Authorizer:
        """Who says what they may do."""

    @property
    def listening(self) -> Listening:
        """How the gateway listens."""

    @property
    def readiness(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What has to work besides before the gateway is ready: name -> a check that raises Unavailable."""

    async def begin(self) -> None:
        """What has to be there before the first request. Raises faults for what is wrong with the surroundings."""

    async def run(self) -> None:
        """What goes on beside the requests; ends by cancellation."""


async def has_begun(platform: GatewayPlatform, stop: asyncio.Event) -> bool:
    """Wait until the platform has begun; False if the process is to end before that, for it may wait for ever."""
    beginning, stopping = asyncio.ensure_future(platform.begin()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({beginning, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            await beginning
        return beginning.done()
    finally:
        for task in (beginning, stopping):
            task.cancel()
        await asyncio.gather(beginning, stopping, return_exceptions=True)
