"""The newest changes: what comes after a position, shared by all who are there, and the bell that tells of more."""

import asyncio

import pytest

from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery_gateway.watch import recent_changes
from chandlery_gateway.watch.recent_changes import Batch, Bell, RecentChanges, batches, portions

LONG = 60.0


def changes(first: int, last: int, *, size: int = 10) -> list[LoggedChange]:
    return [
        LoggedChange(position, "ServiceInstance", "team", "db", ChangeVerb.MODIFIED, "x" * size)
        for position in range(first, last + 1)
    ]


def positions(batch: Batch) -> list[int]:
    return [change.position for change in batch.changes]


async def test_all_who_are_at_a_position_share_a_batch_until_more_comes() -> None:
    recent = RecentChanges()
    recent.keep(changes(1, 5))
    batch = recent.after(2)
    assert positions(batch) == [3, 4, 5]
    assert recent.after(2) is batch
    recent.keep(changes(6, 6))
    assert positions(recent.after(2)) == [3, 4, 5, 6]
    assert not recent.after(6)


async def test_batches_are_short_and_leave_nothing_out() -> None:
    many = changes(1, 450) + changes(451, 453, size=200 * 1024) + changes(454, 460)
    recent = RecentChanges()
    recent.keep(many)
    position, walked = 0, []
    while batch := recent.after(position):
        walked.append(positions(batch))
        position = batch.last
    assert walked == [positions(batch) for batch in batches(many)]
    assert [place for some in walked for place in some] == list(range(1, 461))
    assert [len(some) for some in walked] == [200, 200, 51, 1, 8]


async def test_the_oldest_are_forgotten_when_too_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_changes, "_KEPT_BYTES", 100)
    recent = RecentChanges()
    recent.keep(changes(1, 12))
    assert recent.complete_from == 2
    assert positions(recent.after(2)) == list(range(3, 13))


async def test_a_burst_comes_in_portions_of_a_quarter_of_what_is_kept() -> None:
    burst = (
        changes(1, 3_000) + changes(3_001, 3_004, size=3 * 1024 * 1024) + changes(3_005, 3_005, size=17 * 1024 * 1024)
    )
    some = list(portions(burst))
    assert [len(portion) for portion in some] == [1250, 1250, 501, 1, 1, 1, 1]
    assert [change for portion in some for change in portion] == burst


async def test_what_is_told_of_a_batch_is_kept_for_a_few_kinds_of_listeners() -> None:
    batch = Batch(changes(1, 1))
    for listeners in range(100):
        batch.share(listeners, b"told")
    assert 0 < len(batch.said) < 50


async def test_a_ring_wakes_all_who_wait_and_nobody_stays_behind() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(seconds=LONG)) for _ in range(250)]
    given_up = asyncio.create_task(bell.wait(seconds=LONG))
    await asyncio.sleep(0)
    given_up.cancel()
    await bell.ring()
    await asyncio.gather(*waiting)
    assert (await asyncio.gather(given_up, return_exceptions=True))[0] is not None
    await bell.wait(seconds=0.0)
    assert not bell._waiting
