"""Watches that are behind what is in memory lose nothing, whatever becomes of memory while they read."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest

from chandlery.store.database import Database
from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch import recent_changes
from chandlery_gateway.watch.watch_hub import WatchHub

Read = Callable[[], Awaitable[Sequence[LoggedChange]]]


class Log:
    """Stands for the database: what a transaction reads is what `read` returns."""

    codec = None

    def __init__(self, read: Read) -> None:
        self._read = read
        self.reads = 0

    async def run(self, _work: Any) -> Sequence[LoggedChange]:
        """Whatever is asked for."""
        self.reads += 1
        return await self._read()


def hub_of(log: Log) -> WatchHub:
    return WatchHub(cast("Database", log), rules=cast("RuleKeeper", None))


def changes(first: int, last: int, *, size: int = 10) -> list[LoggedChange]:
    return [
        LoggedChange(position, "ServiceInstance", "team", "db", ChangeVerb.MODIFIED, "x" * size)
        for position in range(first, last + 1)
    ]


async def followed(hub: WatchHub, *, after: int, until: int) -> list[int]:
    """The positions that a watch is told of, up to this one."""
    told: list[int] = []
    async with aclosing(cast("Any", hub.follow(after, until=asyncio.Event()))) as batches:
        async for batch in batches:
            told += [change.position for change in batch.changes]
            if told and told[-1] >= until:
                return told
    return told


async def test_what_memory_forgets_while_a_watch_reads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_changes, "_KEPT", 5)
    come = changes(11, 20)

    async def read() -> Sequence[LoggedChange]:
        if log.reads > 1:
            return come
        # The snapshot that is read from is older than these.
        hub._recent.keep(come)
        return []

    log = Log(read)
    hub = hub_of(log)
    hub._recent.begin_at(10)
    assert await followed(hub, after=5, until=20) == list(range(11, 21))
