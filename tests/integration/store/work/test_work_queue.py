"""The work table on both databases: one holder at a time, fenced, and nothing that is due is forgotten."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts.messages import Reconcile
from chandlery.model.faults import LeaseLost
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.schema import WORK_QUEUE
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.work.work_claims import Claim, Release
from chandlery.store.work.work_releases import DELIVERY
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.work import work
from tests.integration.store.work.work import LANE, LEASE, claim, claim_surely, due, release, touch
from tests.support.measured.statements import counted_statements

COMMAND = Reconcile(kind=work.KIND, uid="uid", lane=LANE)
REQUEST = {"password": "hunter2", "größe": 2**80, "nothing": None}


async def _row(engine: AsyncEngine) -> dict[str, object]:
    async with engine.connect() as connection:
        return dict((await connection.execute(select(WORK_QUEUE))).mappings().one())


async def test_what_is_added_is_due_at_once(database: Database) -> None:
    assert await work.add(database) == COMMAND

    held = await claim_surely(database)

    assert (held.uid, held.kind, held.lane, held.owner) == ("uid", work.KIND, LANE, "me")
    assert (held.attempt, held.sealed, held.memory) == (0, None, {})


async def test_what_is_added_later_is_there_after_the_commit(database: Database) -> None:
    async def add_three(unit: UnitOfWork) -> list[Reconcile]:
        return [unit.work_queue.add_later(work.KIND, uid, lane=LANE) for uid in "abc"]

    commands = await database.run(add_three)

    assert [command.uid for command in commands] == ["a", "b", "c"]
    assert [await claim(database, uid) is not None for uid in "abc"] == [True, True, True]


async def test_of_fifty_claimers_at_once_one_wins(database: Database) -> None:
    await work.add(database)

    claims = await asyncio.gather(*(claim(database, owner=f"worker-{number}") for number in range(50)))

    winners = [held for held in claims if held is not None]
    assert len(winners) == 1
    assert await claim(database, owner="worker-51") is None
    await release(database, winners[0])


async def test_many_are_claimed_in_one_statement_without_those_that_are_taken(database: Database) -> None:
    for uid in ("a", "b", "c"):
        await work.add(database, uid)
    await claim_surely(database, "b", owner="another")

    claims = await database.run(
        lambda unit: unit.work_queue.claim_many(["a", "b", "c", "missing"], owner="me", lease=LEASE)
    )

    assert sorted(claims) == ["a", "c"]
    assert {held.owner for held in claims.values()} == {"me"}


async def test_what_is_not_due_yet_cannot_be_claimed(database: Database, clock: SetClock) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), due_at=clock.now + timedelta(minutes=5))

    assert await claim(database) is None
    clock.advance(minutes=5)
    assert await claim(database) is not None


async def test_what_waits_for_others_alone_is_never_due(database: Database, clock: SetClock) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), due_at=None)

    clock.advance(days=365)
    assert await claim(database) is None
    assert await due(database) == []


async def test_a_released_round_leaves_its_notes_for_the_next(database: Database, clock: SetClock) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), due_at=clock.now, attempt=7, sealed=REQUEST)

    held = await claim_surely(database, owner="next")

    assert (held.attempt, held.sealed, held.memory) == (7, REQUEST, {"left": "note"})
    assert await database.run(lambda unit: unit.work_queue.memory_of("uid")) == {"left": "note"}


async def test_a_lease_that_ran_out_is_taken_over_with_what_was_in_flight(database: Database, clock: SetClock) -> None:
    await work.add(database)
    dead = await claim_surely(database, owner="dead")
    await database.run(lambda unit: unit.work_queue.keep_sealed(dead, REQUEST, {"step": 1}))

    assert await claim(database, owner="heir") is None
    clock.advance(seconds=LEASE.total_seconds() + 0.001)
    heir = await claim_surely(database, owner="heir")

    assert heir.fence > dead.fence
    assert (heir.sealed, heir.memory) == (REQUEST, {"step": 1})


async def test_a_holder_whose_lease_was_taken_over_can_write_nothing(
    database: Database, engine: AsyncEngine, clock: SetClock
) -> None:
    await work.add(database)
    late = await claim_surely(database)
    clock.advance(minutes=1)
    # The same owner, as when a process claims again what it has lost: the fence alone tells the two apart.
    await claim_surely(database)
    before = await _row(engine)

    with pytest.raises(LeaseLost):
        await release(database, late, due_at=clock.now + timedelta(days=1), sealed=REQUEST)
    with pytest.raises(LeaseLost):
        await database.run(lambda unit: unit.work_queue.keep_sealed(late, REQUEST, {"late": True}))
    await database.run(lambda unit: unit.work_queue.give_back(late))

    assert await _row(engine) == before


async def test_a_round_cannot_be_released_twice(database: Database, clock: SetClock) -> None:
    await work.add(database)
    held = await claim_surely(database)
    await release(database, held, due_at=clock.now)

    with pytest.raises(LeaseLost):
        await release(database, held, due_at=clock.now)


async def test_a_late_release_takes_its_whole_transaction_down(database: Database, clock: SetClock) -> None:
    await work.add(database)
    late = await claim_surely(database)
    clock.advance(minutes=1)
    await claim_surely(database, owner="heir")
    left = Release(due_at=None, lane=LANE, memory={})

    async def record(unit: UnitOfWork) -> None:
        await unit.objects.insert(samples.instance("db"))
        await unit.work_queue.release(late, left)

    with pytest.raises(LeaseLost):
        await database.run(record)

    assert await samples.get_instance(database, "db") is None


async def test_a_heartbeat_keeps_the_named_leases_of_its_owner_and_no_other(
    database: Database, clock: SetClock
) -> None:
    for uid in ("a", "b", "c", "d"):
        await work.add(database, uid)
        await claim_surely(database, uid, owner="another" if uid == "c" else "me")

    clock.advance(seconds=20)
    assert await work.extend(database, "a", "b", "c", "missing") == {"a", "b"}
    clock.advance(seconds=20)

    taken_over = [await claim(database, uid, owner="heir") is not None for uid in "abcd"]
    assert taken_over == [False, False, True, True]


async def test_many_leases_are_extended_with_the_statement_for_one(
    engine: AsyncEngine, keyring: Keyring, clock: SetClock
) -> None:
    database = Database(engine, keyring, clock=clock)
    uids = [f"uid-{number}" for number in range(40)]
    for uid in uids:
        await work.add(database, uid)
        await claim_surely(database, uid)

    with counted_statements(engine) as counted:
        assert await work.extend(database, *uids) == set(uids)
        assert await work.extend(database, "uid-0") == {"uid-0"}

    assert len(set(counted.by_text())) == 1
    if engine.dialect.name == "postgresql":
        # As one array: so it is prepared once.
        assert len(set(counted.texts)) == 1


async def test_a_touch_during_a_lease_makes_the_object_due_when_it_ends(database: Database, clock: SetClock) -> None:
    await work.add(database)
    held = await claim_surely(database)

    assert await touch(database) == COMMAND
    assert await claim(database, owner="another") is None
    assert await release(database, held, due_at=clock.now + timedelta(hours=1)) == COMMAND

    assert (await claim_surely(database)).revision > held.revision


async def test_a_touch_brings_forward_what_was_due_later(database: Database, clock: SetClock) -> None:
    await work.add(database)
    await release(database, await claim_surely(database), due_at=clock.now + timedelta(hours=1), attempt=5)

    assert await touch(database) == COMMAND

    held = await claim_surely(database)
    assert held.attempt == 0
    assert await release(database, held, due_at=clock.now + timedelta(hours=1)) is None
    assert await claim(database) is None


async def test_a_touch_of_what_nobody_looks_after_is_no_command(database: Database) -> None:
    assert await touch(database, "missing") is None


async def test_a_lease_that_is_given_back_can_be_claimed_at_once(database: Database) -> None:
    await work.add(database)
    held = await claim_surely(database)
    await database.run(lambda unit: unit.work_queue.keep_sealed(held, REQUEST, {}))
    await database.run(lambda unit: unit.work_queue.give_back(held))

    assert await due(database) == ["uid"]
    assert (await claim_surely(database, owner="next")).sealed == REQUEST


async def test_the_sweep_finds_what_is_overdue_and_nothing_twice_within_the_pause(
    database: Database, clock: SetClock
) -> None:
    await work.add(database, "a")
    clock.advance(seconds=1)
    await work.add(database, "b")

    assert await due(database) == []
    clock.advance(seconds=DELIVERY.total_seconds())
    assert await due(database) == ["a", "b"]
    assert await due(database) == []
    clock.advance(seconds=3 * DELIVERY.total_seconds())
    assert await due(database) == ["a", "b"]


async def test_the_sweep_finds_retries_when_they_are_due_and_leases_that_ran_out(
    database: Database, clock: SetClock
) -> None:
    for uid in ("retried", "held", "dead"):
        await work.add(database, uid)
    await release(database, await claim_surely(database, "retried"), due_at=clock.now + timedelta(seconds=20))
    await claim_surely(database, "held")
    await claim_surely(database, "dead", owner="dead")

    clock.advance(seconds=20)
    await work.extend(database, "held")
    assert await due(database) == ["retried"]
    clock.advance(seconds=LEASE.total_seconds() - 20)
    assert await due(database) == ["dead"]


async def test_the_sweep_takes_the_oldest_first_and_no_more_than_it_can_carry(
    database: Database, clock: SetClock
) -> None:
    for number in range(30):
        await work.add(database, f"uid-{number:02}")
        clock.advance(seconds=1)
    clock.advance(minutes=1)

    rounds = [await due(database, limit=12) for _ in range(4)]

    assert [uid for found in rounds for uid in found] == [f"uid-{number:02}" for number in range(30)]
    assert [len(found) for found in rounds] == [12, 12, 6, 0]


async def test_a_process_that_is_alone_starts_where_the_one_before_was_killed(
    database: Database, clock: SetClock
) -> None:
    for uid in ("taken", "sent", "later", "resting"):
        await work.add(database, uid)
    await work.release(database, await work.claim_surely(database, "later"), due_at=clock() + timedelta(hours=1))
    await work.release(database, await work.claim_surely(database, "resting"))
    await work.claim_surely(database, "taken")
    await database.run(lambda unit: unit.work_queue.start_over())

    assert await work.due(database) == ["sent", "taken"]
    assert (await work.claim_surely(database, "taken", owner="the next")).fence == 2


async def test_two_sweeps_at_once_share_the_work(database: Database, clock: SetClock) -> None:
    for number in range(40):
        await work.add(database, f"uid-{number:02}")
    clock.advance(minutes=1)

    found = await asyncio.gather(*(due(database, limit=10) for _ in range(6)))
    found += [await due(database, limit=40)]

    assert sorted(uid for each in found for uid in each) == [f"uid-{number:02}" for number in range(40)]


async def test_what_is_in_flight_stands_nowhere_in_plain_text(database: Database, engine: AsyncEngine) -> None:
    await work.add(database)
    held = await claim_surely(database)
    await database.run(lambda unit: unit.work_queue.keep_sealed(held, REQUEST, {"step": 1}))
    first = await samples.dump(engine)
    await database.run(lambda unit: unit.work_queue.keep_all_sealed([(held, {"token": "hunter3"}, {"step": 2})]))
    second = await samples.dump(engine)

    assert "'step': 1" in first
    assert "'step': 2" in second
    assert "hunter" not in first + second
    assert "hunter" not in repr(held) + repr(await _later(database, held))


async def _later(database: Database, held: Claim) -> Claim:
    await database.run(lambda unit: unit.work_queue.give_back(held))
    claimed = await claim_surely(database)
    assert claimed.sealed == {"token": "hunter3"}
    return claimed


async def test_lanes_and_their_counts_follow_the_objects(database: Database, clock: SetClock) -> None:
    await work.add(database, "a", lane="unresolved")
    await work.add(database, "b", lane="lane-2")
    await release(database, await claim_surely(database, "a"), due_at=clock.now)

    async def look(unit: UnitOfWork) -> tuple[list[str], int, int]:
        store = unit.work_queue
        return (
            sorted(await store.lanes()),
            await store.count_in_lane(work.KIND, LANE),
            await store.count_in_lane("x", LANE),
        )

    assert await database.run(look) == ([LANE, "lane-2"], 1, 0)
    await database.run(lambda unit: unit.work_queue.remove("a"))
    assert await database.run(look) == (["lane-2"], 0, 0)
    assert await database.run(lambda unit: unit.work_queue.memory_of("a")) == {}
