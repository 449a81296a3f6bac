"""Waiting for an event: whoever waits is woken, however waiter and waker meet."""

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.work_claims import Release
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import held_open, instance
from tests.integration.store.work import work
from tests.integration.store.work.work import LANE, LEASE, claim, claim_surely, due, release, touch, wake
from tests.support.waiting import SOON, eventually

KEY = "class/one"
PAIRS = 60


@dataclass
class Pair:
    """One object that needs a fact, and whoever brings the fact."""

    number: int
    pauses: random.Random
    has_seen: bool = False
    fact: str = field(init=False)
    uid: str = field(init=False)

    def __post_init__(self) -> None:
        self.fact, self.uid = f"fact-{self.number}", f"uid-{self.number}"

    async def wait(self, unit: UnitOfWork) -> None:
        """A worker's round: look, and before deciding to wait, lock and look again."""
        held = await unit.work_queue.claim(self.uid, owner="waiter", lease=LEASE)
        assert held is not None
        self.has_seen = await self._look(unit)
        await self._pause()
        if not self.has_seen:
            await unit.wakes.lock_waits([self.fact])
            self.has_seen = await self._look(unit)
        key = None if self.has_seen else self.fact
        await unit.work_queue.release(held, Release(due_at=None, lane=LANE, waiting_for=key, memory={}))
        await self._pause()

    async def bring(self, unit: UnitOfWork) -> None:
        """Store the fact and wake whoever waits, in one transaction."""
        await self._pause()
        await unit.objects.insert(instance(self.fact))
        await self._pause()
        unit.outbox.add(*await unit.wakes.enqueue_waiting(self.fact))
        await self._pause()

    async def _look(self, unit: UnitOfWork) -> bool:
        return await unit.objects.get(SERVICE_INSTANCE, "ns", self.fact) is not None

    async def _pause(self) -> None:
        await asyncio.sleep(self.pauses.choice((0, 0, 0.002, 0.01)))


async def claimed_soon(database: Database) -> None:
    """Claim the object as soon as whoever wakes it late has let go of its row."""
    await eventually(lambda: claim(database), what="the row to be free")


async def test_a_waiting_object_is_woken_by_its_key_and_by_no_other(database: Database) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), waiting_for=KEY)

    assert await wake(database, "class/two", "class/on") == []
    assert await claim(database) is None
    assert await wake(database, KEY) == ["uid"]
    assert await claim(database) is not None


async def test_an_object_is_woken_once(database: Database) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), waiting_for=KEY)

    assert await wake(database, KEY) == ["uid"]
    assert await wake(database, KEY) == []


async def test_several_keys_wake_all_who_wait_for_one_of_them(database: Database) -> None:
    for uid, key in (("a", "key-1"), ("b", "key-2"), ("c", "key-2"), ("d", "key-3")):
        await work.add(database, uid)
        await release(database, await claim_surely(database, uid), waiting_for=key)

    assert await wake(database, "key-2", "key-1", "key-2") == ["a", "b", "c"]
    assert await wake(database) == []


async def test_more_keys_than_there_are_locks_wake_everybody(database: Database) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), waiting_for="key-2399")

    assert await wake(database, *(f"key-{number:04}" for number in range(2400))) == ["uid"]


async def test_keys_that_are_woken_at_the_end_are_in_the_same_transaction(database: Database) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), waiting_for=KEY)

    async def bring(unit: UnitOfWork) -> None:
        unit.enqueue_waiting_at_end([KEY, "other"])
        await unit.objects.insert(instance("db"))

    await database.run(bring, dry_run=True)
    assert await claim(database) is None
    await database.run(bring)
    assert await claim(database) is not None


async def test_a_wake_up_during_the_round_brings_the_object_back(database: Database, clock: SetClock) -> None:
    """It waited for the key when the round began; what the round saw may be older than the event."""
    await work.add(database)
    await release(database, await claim_surely(database), due_at=clock.now, waiting_for=KEY)
    held = await claim_surely(database)

    assert await wake(database, KEY) == ["uid"]
    command = await release(database, held, due_at=clock.now + timedelta(hours=1))

    assert command is not None
    assert await claim(database) is not None


async def test_a_waker_that_commits_first_is_seen_by_the_waiter(postgresql: Database) -> None:
    await work.add(postgresql, "uid-1")
    pair = Pair(1, random.Random(1))
    async with held_open(postgresql, pair.bring):
        waiting = asyncio.create_task(postgresql.run(pair.wait))
        await samples.until_somebody_waits(postgresql)
        assert not pair.has_seen

    await waiting
    assert pair.has_seen


async def test_a_waiter_that_commits_first_is_seen_by_the_waker(postgresql: Database) -> None:
    await work.add(postgresql, "uid-1")
    pair = Pair(1, random.Random(1))
    async with held_open(postgresql, pair.wait):
        bringing = asyncio.create_task(postgresql.run(pair.bring))
        await samples.until_somebody_waits(postgresql)

    await bringing
    assert not pair.has_seen
    assert await claim(postgresql, "uid-1") is not None


async def test_nobody_waits_in_vain_however_waiter_and_waker_meet(database: Database) -> None:
    pairs = [Pair(number, random.Random(number)) for number in range(PAIRS)]
    for pair in pairs:
        await work.add(database, pair.uid)

    async with asyncio.timeout(30):
        steps = [step for pair in pairs for step in (pair.wait, pair.bring)]
        random.Random(0).shuffle(steps)
        await asyncio.gather(*(database.run(step) for step in steps))

    in_vain = [pair.uid for pair in pairs if not pair.has_seen and await claim(database, pair.uid) is None]
    assert in_vain == []
    assert 0 < sum(pair.has_seen for pair in pairs) < PAIRS, "every pair met in the same order: this proves nothing"


async def test_a_wake_up_that_meets_the_sweep_leaves_the_object_due(postgresql: Database, clock: SetClock) -> None:
    """The sweep has locked the row, so the waker passes it over; but what the sweep takes is due in any case."""
    await work.add(postgresql)
    await release(postgresql, await claim_surely(postgresql), due_at=clock.now, waiting_for=KEY)

    async with held_open(postgresql, lambda unit: unit.work_queue.due(limit=10)):
        async with asyncio.timeout(SOON):
            await wake(postgresql, KEY)

    await claimed_soon(postgresql)
    assert await due(postgresql) == []


async def test_who_looks_at_the_very_moment_of_the_news_is_woken_when_it_has_looked(postgresql: Database) -> None:
    """It has read what was there before, and it does not lock the key, for it rests with an interest that it had."""
    await work.add(postgresql)
    rest = Release(due_at=None, lane=LANE, memory={}, interests=(KEY,))
    first = await claim_surely(postgresql)
    await postgresql.run(lambda unit: unit.work_queue.release(first, rest))
    await touch(postgresql)

    async def look(unit: UnitOfWork) -> None:
        held = await unit.work_queue.claim("uid", owner="waiter", lease=LEASE)
        assert held is not None
        await unit.work_queue.release(held, replace(rest, interests=None))

    async with held_open(postgresql, look):
        async with asyncio.timeout(SOON):
            assert await wake(postgresql, KEY) == []
        await samples.until_somebody_waits(postgresql)

    await claimed_soon(postgresql)


async def test_wake_up_of_a_waker_that_died_is_made_up_for_by_the_sweep(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work.add(postgresql)
    rest = Release(due_at=None, lane=LANE, memory={}, interests=(KEY,))
    held = await claim_surely(postgresql)
    await postgresql.run(lambda unit: unit.work_queue.release(held, rest))

    async def dies() -> None:
        return

    with monkeypatch.context() as patch:
        patch.setattr(postgresql, "enqueue_late", dies)
        async with held_open(postgresql, lambda unit: unit.work_queue.lock("uid")):
            assert await wake(postgresql, KEY) == []
    assert await claim(postgresql) is None

    await postgresql.enqueue_late()
    assert await claim(postgresql) is not None


async def test_wakers_of_the_same_keys_in_any_order_do_not_lock_each_other_out(postgresql: Database) -> None:
    keys = [f"key-{number}" for number in range(20)]

    async def wake_all(seed: int) -> int:
        attempts = 0

        async def work_once(unit: UnitOfWork) -> None:
            nonlocal attempts
            attempts += 1
            await unit.wakes.enqueue_waiting(*random.Random(seed).sample(keys, len(keys)))
            await asyncio.sleep(0.002)

        await postgresql.run(work_once)
        return attempts

    async with asyncio.timeout(SOON):
        assert await asyncio.gather(*(wake_all(seed) for seed in range(20))) == [1] * 20


async def test_an_interest_wakes_as_often_as_something_happens(database: Database) -> None:
    await work.add(database, "uid")
    held = await claim_surely(database, "uid")
    rest = Release(due_at=None, lane=LANE, memory={}, interests=("secret/a", "secret/b"))
    await database.run(lambda unit: unit.work_queue.release(held, rest))

    for key in ("secret/a", "secret/b", "secret/a"):
        assert await wake(database, key) == ["uid"]
        await release(database, await claim_surely(database, "uid"))
    assert await wake(database, "secret/c") == []


async def test_interests_are_kept_until_they_are_given_anew(database: Database) -> None:
    await work.add(database, "uid")
    for given, expected in ((("a",), ["uid"]), (None, ["uid"]), (("b",), []), ((), [])):
        held = await claim_surely(database, "uid")
        rest = Release(due_at=None, lane=LANE, memory={}, interests=given)
        await database.run(lambda unit, held=held, rest=rest: unit.work_queue.release(held, rest))  # type: ignore[misc]
        assert await wake(database, "a") == expected
        await work.touch(database)
