"""What is old is forgotten, in small steps, on both databases; what is young or in use stays."""

from typing import Any, Final

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts.messages import LaneOpened
from chandlery.engine.upkeep.retention import Retention
from chandlery.model.faults import Unavailable
from chandlery.model.objects import kinds
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.pruning.old_events import OldEvents
from chandlery.store.schema import METADATA
from chandlery.store.work.work_claims import Claim, Release
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import create, create_one, instance, position_of, read_at_least
from tests.integration.store.work import work
from tests.integration.store.work.work import LANE

STEP: Final = 3
SETTINGS: Final = Settings(change_log_hours=1, event_hours=1, outbox_hours=1, events_per_object=2)


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, SETTINGS, step=STEP)


async def _rows(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(METADATA.tables[table]))).scalar_one())


async def _rest(database: Database, claim: Claim, interests: tuple[str, ...]) -> None:
    rest = Release(due_at=None, lane=LANE, memory={}, interests=interests)
    await database.run(lambda unit: unit.work_queue.release(claim, rest))


async def _prune_all(retention: Retention) -> int:
    """How many steps it takes."""
    steps = 1
    while await retention.prune():
        steps += 1
        assert steps < 100
    return steps


async def test_change_log_is_pruned_step_by_step(
    database: Database, engine: AsyncEngine, clock: SetClock, retention: Retention
) -> None:
    old = [await create_one(database, instance(f"old-{number}")) for number in range(2 * STEP + 1)]
    clock.advance(minutes=61)
    young = await create_one(database, instance("young"))

    assert await retention.prune()
    assert await _rows(engine, "changes") == STEP + 2
    assert await database.run(lambda unit: unit.changes.trimmed_to()) == position_of(old[STEP - 1])

    assert await _prune_all(retention) == 2
    assert [change.position for change in await read_at_least(database, 1)] == [position_of(young)]
    assert await _rows(engine, "serviceinstances") == 2 * STEP + 2


async def test_recorded_events_are_pruned_step_by_step(
    database: Database, engine: AsyncEngine, clock: SetClock, retention: Retention
) -> None:
    await create(database, *(samples.sample(kinds.EVENT, f"old-{number}") for number in range(STEP + 1)))
    clock.advance(minutes=61)

    assert await retention.prune()
    assert await _rows(engine, "events") == 1
    await _prune_all(retention)
    assert await _rows(engine, "events") == 0


async def test_of_one_object_only_some_events_are_kept_however_young_they_are(
    database: Database, engine: AsyncEngine, retention: Retention
) -> None:
    involved = {"involvedObject": {"kind": "ServiceInstance", "name": "db", "uid": "uid-of-db"}}
    await create(database, *(samples.sample(kinds.EVENT, f"said-{number}", **involved) for number in range(2 * STEP)))
    await create(database, samples.sample(kinds.EVENT, "of-another"))

    await _prune_all(retention)
    kept = await database.run(lambda unit: unit.objects.list(kinds.EVENT, Listing(namespace="ns")))
    assert [each.metadata.name for each in kept] == ["of-another", "said-4", "said-5"]


async def test_messages_for_a_bus_that_stays_away_are_pruned_step_by_step(
    database: Database, engine: AsyncEngine, clock: SetClock, retention: Retention
) -> None:
    async def speak(unit: UnitOfWork) -> None:
        unit.outbox.add(LaneOpened(lane="lane"))

    for _ in range(STEP + 1):
        await database.run(speak)
    clock.advance(minutes=61)
    await database.run(speak)

    assert await retention.prune()
    assert await _rows(engine, "outbox") == 2
    await _prune_all(retention)
    assert await _rows(engine, "outbox") == 1


async def test_interests_of_what_is_gone_are_pruned_and_others_stay(
    database: Database, engine: AsyncEngine, retention: Retention
) -> None:
    keys = tuple(f"secret/{number}" for number in range(STEP + 1))
    for uid in ("goes", "stays"):
        await work.add(database, uid)
        claim = await work.claim_surely(database, uid)
        await _rest(database, claim, keys)
    assert not await retention.prune()
    assert await _rows(engine, "interests") == 2 * len(keys)

    await database.run(lambda unit: unit.work_queue.remove("goes"))

    assert await retention.prune()
    assert await _rows(engine, "interests") == len(keys)
    await _prune_all(retention)
    assert await work.wake(database, keys[0]) == ["stays"]
    assert await _rows(engine, "interests") == len(keys)


async def test_a_step_that_fails_keeps_no_other_from_its_turn(
    database: Database, engine: AsyncEngine, clock: SetClock, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("no answer in time")

    async def speak(unit: UnitOfWork) -> None:
        unit.outbox.add(LaneOpened(lane="lane"))

    monkeypatch.setattr(OldEvents, "forget", fail)
    await database.run(speak)
    clock.advance(minutes=61)

    with pytest.raises(Unavailable):
        await retention.prune()
    assert await _rows(engine, "outbox") == 1
    with pytest.raises(Unavailable):
        await retention.prune()
    assert await _rows(engine, "outbox") == 0


async def test_nothing_is_pruned_when_nothing_is_old(
    database: Database, engine: AsyncEngine, retention: Retention
) -> None:
    await create(database, instance("young"), samples.sample(kinds.EVENT, "young"))
    assert not await retention.prune()
    assert (await _rows(engine, "changes"), await _rows(engine, "events")) == (2, 1)


@pytest.mark.parametrize("days", [36_500.0, 1_000_000.0, 1e300])
async def test_what_is_to_be_kept_for_ever_is_kept_and_does_not_keep_the_rest(
    database: Database, engine: AsyncEngine, clock: SetClock, days: float
) -> None:
    forever: dict[str, Any] = {
        "operation_history_days": days,
        "event_hours": days * 24,
        "audit_hours": days * 24,
        "outbox_hours": days * 24,
    }
    retention = Retention(database, Settings(change_log_hours=1, **forever), step=STEP)
    await create_one(database, instance("old"))
    clock.advance(minutes=61)
    await _prune_all(retention)
    assert await _rows(engine, "changes") == 0
