"""The change log on both databases: an entry for each write, in order; what is forgotten is known to be forgotten."""

import pytest

from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import ChangeVerb
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import create_one, instance, position_of, read, read_at_least


async def test_every_write_has_one_change_at_its_resource_version(database: Database) -> None:
    created = await create_one(database, instance("db"))
    updated = await samples.update(database, created, samples.with_parameters(created, size="xl"))
    removed = await samples.remove(database, updated)

    changes = await read_at_least(database, 3)

    assert [change.verb for change in changes] == [ChangeVerb.ADDED, ChangeVerb.MODIFIED, ChangeVerb.DELETED]
    assert [change.position for change in changes] == [position_of(each) for each in (created, updated, removed)]
    assert {(change.kind, change.namespace, change.name) for change in changes} == {("ServiceInstance", "ns", "db")}
    stored = [change.stored["metadata"]["resourceVersion"] for change in changes]
    assert stored == [str(change.position) for change in changes]


async def test_positions_grow_within_and_across_transactions(database: Database) -> None:
    async def create_three(unit: UnitOfWork) -> list[int]:
        return [position_of(await unit.objects.insert(instance(f"db-{number}"))) for number in (1, 2, 3)]

    async def change_one_twice(unit: UnitOfWork) -> list[int]:
        created = await unit.objects.insert(instance("db-4"))
        updated = await unit.objects.update(created, samples.with_parameters(created, size="xl"))
        return [position_of(created), position_of(updated)]

    written = await database.run(create_three) + await database.run(change_one_twice)

    assert written == sorted(set(written))
    assert [change.position for change in await read_at_least(database, 5)] == written


async def test_a_reader_goes_on_where_it_stopped_however_small_its_pages(database: Database) -> None:
    created = [await create_one(database, instance(f"db-{number}")) for number in range(5)]
    await read_at_least(database, 5)

    seen: list[int] = []
    while page := await read(database, seen[-1] if seen else 0, limit=2):
        seen += [change.position for change in page]

    assert seen == [position_of(each) for each in created]


async def test_nothing_below_the_horizon_is_missing(database: Database) -> None:
    created = await create_one(database, instance("db"))
    await read_at_least(database, 1)
    horizon = await database.run(lambda unit: unit.changes.horizon())
    later = await create_one(database, instance("later"))

    assert position_of(created) < horizon <= position_of(later)
    assert [change.name for change in await read_at_least(database, 1, after=horizon - 1)] == ["later"]


async def test_a_failed_transaction_leaves_no_change(database: Database) -> None:
    async def fail(unit: UnitOfWork) -> None:
        await unit.objects.insert(instance("db"))
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(fail)
    after = await create_one(database, instance("db"))

    assert [change.position for change in await read_at_least(database, 1)] == [position_of(after)]


async def test_a_dry_run_returns_its_result_and_leaves_nothing(database: Database) -> None:
    document = instance("db")
    result = await database.run(lambda unit: unit.objects.insert(document), dry_run=True)

    assert result.metadata.name == "db"
    assert position_of(result) > 0
    assert await samples.get_instance(database, "db") is None
    assert await read(database) == []


async def test_nothing_is_trimmed_from_a_young_log(database: Database, clock: SetClock) -> None:
    await create_one(database, instance("db"))

    assert await database.run(lambda unit: unit.changes.trim(clock.now)) == 0
    assert await database.run(lambda unit: unit.changes.trimmed_to()) == 0
    assert len(await read_at_least(database, 1)) == 1


async def test_trimming_forgets_what_is_old_and_remembers_how_far(database: Database, clock: SetClock) -> None:
    old = [await create_one(database, instance(f"old-{number}")) for number in range(3)]
    clock.advance(hours=2)
    young = await create_one(database, instance("young"))

    assert await database.run(lambda unit: unit.changes.trim(unit.now)) == 3

    assert await database.run(lambda unit: unit.changes.trimmed_to()) == position_of(old[-1])
    assert [change.position for change in await read_at_least(database, 1)] == [position_of(young)]
    clock.advance(hours=2)
    assert await database.run(lambda unit: unit.changes.trim(unit.now)) == 1
    assert await database.run(lambda unit: unit.changes.trimmed_to()) == position_of(young)


async def test_positions_go_on_after_everything_was_trimmed(database: Database, clock: SetClock) -> None:
    before = await create_one(database, instance("before"))
    clock.advance(hours=1)
    await database.run(lambda unit: unit.changes.trim(unit.now))
    after = await create_one(database, instance("after"))

    assert position_of(after) > position_of(before)
    assert [change.name for change in await read_at_least(database, 1)] == ["after"]


async def test_a_change_is_read_as_text_so_that_its_length_is_what_it_takes(database: Database) -> None:
    await create_one(database, instance("db"))

    (change,) = await read_at_least(database, 1)

    assert isinstance(change.body, str)
    assert change.stored["metadata"]["name"] == "db"
