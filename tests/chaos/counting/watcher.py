"""A watcher that goes on from where it was, at whichever gateway answers, and keeps what it was told."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from tests.chaos.gateways import NAMESPACED, Gateways

Seen = tuple[str, int]
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=None)


class Watcher:
    """Watches one kind in the namespace `default`."""

    def __init__(self, gateways: Gateways, plural: str, says: list[str]) -> None:
        self.plural = plural
        self.begun_at = 0
        self.reconnects = 0
        self._gateways = gateways
        self._says = says
        self._seen: list[Seen] = []

    async def begin(self) -> None:
        """List, so that the watch goes on from there."""
        _, answer, _ = await self._gateways.ask("GET", f"{NAMESPACED}/{self.plural}")
        self.begun_at = int(answer["metadata"]["resourceVersion"])

    @property
    def seen(self) -> Sequence[Seen]:
        """What happened, at which position."""
        return self._seen

    @property
    def last(self) -> int:
        return self._seen[-1][1] if self._seen else self.begun_at

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._read()
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.2)
            self.reconnects += 1

    async def _read(self) -> None:
        path = f"{NAMESPACED}/{self.plural}?watch=true&timeoutSeconds=20&resourceVersion={self.last}"
        async with self._gateways.session.get(self._gateways.any_url() + path, timeout=_TIMEOUT) as response:
            if response.status != 200:
                await asyncio.sleep(0.2)
                return
            async for line in response.content:
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            self._says.append(f"the watch of {self.plural} was told: {event['object'].get('message')}")
            return
        if event["type"] != "BOOKMARK":
            self._seen.append((event["type"], int(event["object"]["metadata"]["resourceVersion"])))
