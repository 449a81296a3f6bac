"""Since when a state is desired that is not reached yet: by generations, and by nothing else."""

from datetime import datetime, timedelta

from chandlery.store.database import Database
from chandlery.store.work.work_claims import Release
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import NOON
from tests.integration.store.work.work import LANE, add, claim_surely, release, touch


async def _since(database: Database) -> datetime | None:
    """As the next round learns it, which then gives the object back."""
    held = await claim_surely(database)
    await database.run(lambda unit: unit.work_queue.give_back(held))
    return held.desired_at


async def _reach(database: Database) -> None:
    held = await claim_surely(database)
    reached = Release(due_at=held.turn_at, lane=LANE, memory={}, ready="True", is_reached=True)
    await database.run(lambda unit: unit.work_queue.release(held, reached))


async def _change(database: Database) -> None:
    await database.run(lambda unit: unit.work_queue.enqueue_changed("uid", is_new_generation=True))


async def test_what_is_new_is_desired_from_now_on_until_it_is_reached(database: Database, clock: SetClock) -> None:
    await add(database)
    clock.advance(minutes=1)
    assert await _since(database) == NOON

    await _reach(database)
    await touch(database)

    assert await _since(database) is None


async def test_a_round_that_fails_leaves_the_moment_as_it_was(database: Database, clock: SetClock) -> None:
    await add(database)
    clock.advance(minutes=1)
    await release(database, await claim_surely(database), due_at=clock.now, attempt=1)

    assert await _since(database) == NOON


async def test_only_a_new_generation_moves_the_moment(database: Database, clock: SetClock) -> None:
    await add(database)
    clock.advance(minutes=1)
    await touch(database)
    assert await _since(database) == NOON

    await _change(database)

    assert await _since(database) == NOON + timedelta(minutes=1)
