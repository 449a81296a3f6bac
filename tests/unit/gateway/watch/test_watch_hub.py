"""Watches that are behind what is in memory lose nothing and read together; in a burst they do not fall behind."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest

from chandlery.model.faults import Unavailable
from chandlery.store.database import Database
from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch import recent_changes
from chandlery_gateway.watch.older_changes import BATCH
from chandlery_gateway.watch.watch_hub import WatchHub
from tests.support.waiting import SOON, eventually

Read = Callable[[], Awaitable[Any]]
WATCHES = 40


class Log:
    """Stands for the database: what a transaction reads is what `read` returns."""

    codec = None

    def __init__(self, read: Read) -> None:
        self._read = read
        self.reads = 0

    async def run(self, _work: Any) -> Any:
        """Whatever is asked for."""
        self.reads += 1
        return await self._read()


class Rules:
    """Nobody's rights change."""

    must_load = False

    async def absorb(self, *_: Any, **__: Any) -> None:
        """There is nothing to be absorbed."""


def hub_of(log: Log) -> WatchHub:
    return WatchHub(cast("Database", log), rules=cast("RuleKeeper", Rules()))


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


async def test_watches_at_one_place_read_what_is_older_together() -> None:
    come = changes(1, 30)
    hold = asyncio.Event()

    async def read() -> Sequence[LoggedChange]:
        await hold.wait()
        return come

    log = Log(read)
    hub = hub_of(log)
    hub._recent.begin_at(30)
    watching = [asyncio.create_task(followed(hub, after=0, until=30)) for _ in range(WATCHES)]
    await asyncio.sleep(0)
    # Whoever has asked first goes away.
    watching.pop(0).cancel()
    await asyncio.sleep(0)
    hold.set()
    assert await asyncio.gather(*watching) == [list(range(1, 31))] * (WATCHES - 1)
    assert log.reads == 1


async def test_a_watch_reads_along_with_one_that_is_still_being_told_and_nothing_is_kept_longer() -> None:
    async def read() -> Sequence[LoggedChange]:
        return changes(1, 450)

    log = Log(read)
    hub = hub_of(log)
    hub._recent.begin_at(450)
    async with aclosing(cast("Any", hub.follow(0, until=asyncio.Event()))) as slow:
        assert (await anext(slow)).last == 200
        assert await followed(hub, after=250, until=450) == list(range(251, 451))
        assert log.reads == 1
        assert [(await anext(slow)).last for _ in range(2)] == [400, 450]
    assert await followed(hub, after=250, until=450) != []
    assert log.reads == 2


async def test_a_fault_is_told_to_all_who_read_together() -> None:
    async def read() -> Sequence[LoggedChange]:
        await asyncio.sleep(0)
        raise Unavailable("the database cannot be reached")

    hub = hub_of(Log(read))
    hub._recent.begin_at(10)
    told = await asyncio.gather(*(followed(hub, after=0, until=1) for _ in range(3)), return_exceptions=True)
    assert [type(fault) for fault in told] == [Unavailable] * 3


@pytest.mark.parametrize(("count", "size"), [(1_000, 20_000), (6_000, 10)])
async def test_watches_see_a_burst_before_it_pushes_itself_out_of_memory(count: int, size: int) -> None:
    come = changes(1, count, size=size)

    async def read() -> tuple[Sequence[LoggedChange], Sequence[LoggedChange]]:
        return come[hub._seen : hub._seen + BATCH], []

    log = Log(read)
    hub = hub_of(log)
    hub._has_begun = True
    watching = [asyncio.create_task(followed(hub, after=0, until=count)) for _ in range(WATCHES)]
    await eventually(lambda: hub._arrived.waiting == WATCHES, what="the watches to wait")
    await hub._catch_up()
    looks = log.reads
    for told in await asyncio.gather(*watching):
        assert told == list(range(1, count + 1))
    assert hub._recent.complete_from > 0
    assert looks == log.reads == count // BATCH + 1


async def test_who_does_not_read_holds_a_burst_up_only_for_a_moment() -> None:
    come = changes(1, 3_000)

    async def read() -> tuple[Sequence[LoggedChange], Sequence[LoggedChange]]:
        return come[hub._seen : hub._seen + BATCH], []

    hub = hub_of(Log(read))
    hub._has_begun = True
    hub._recent.keep(changes(0, 0))
    async with aclosing(cast("Any", hub.follow(-1, until=asyncio.Event()))) as stuck:
        hub._recent.complete_from = -1
        assert (await anext(stuck)).last == 0
        async with asyncio.timeout(SOON):
            await hub._catch_up()
    assert hub._seen == 3_000
