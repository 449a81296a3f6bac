"""Lists of an earlier moment on both databases: what a reader saw then is found again, or it is said that it is not."""

import random
from collections.abc import Sequence

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import SERVICE_INSTANCE, AnyObject
from chandlery.model.objects.metadata import NamespacedName
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import ORDINALS, Snapshot
from chandlery.store.objects.object_reads import Listing
from chandlery.store.objects.past_objects import PastPart
from tests.integration.store import samples
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import create_one, held_open, instance, position_of

NAMES = ["a", "a-b", "a.b", "ab", "a0", "b", "b-1"]
"""In an order of bytes that is not that of any language."""


async def _now(database: Database) -> tuple[Snapshot, Sequence[AnyObject]]:
    """A moment when nothing commits, and what is there."""

    async def read(unit: UnitOfWork) -> tuple[Snapshot, Sequence[AnyObject]]:
        snapshot = await unit.changes.snapshot()
        return snapshot, await unit.objects.list(SERVICE_INSTANCE, Listing())

    return await database.run(read)


async def _then(
    database: Database, snapshot: Snapshot, *, limit: int | None = None
) -> tuple[list[AnyObject], set[NamespacedName]]:
    """All parts of the list as it was."""
    objects: list[AnyObject] = []
    unknown: set[NamespacedName] = set()
    after: NamespacedName | None = None
    while True:
        part = await _part(database, snapshot, after=after, limit=limit)
        assert part.is_covered
        objects += map(ServiceInstance.model_validate, part.objects)
        unknown |= set(part.unknown)
        after = part.reached
        if after is None:
            return objects, unknown


async def _part(
    database: Database, snapshot: Snapshot, *, after: NamespacedName | None = None, limit: int | None = None
) -> PastPart:
    listing = Listing(after=after, limit=limit)
    return await database.run(lambda unit: unit.past.part(SERVICE_INSTANCE, listing, snapshot))


async def _write_something(database: Database, choice: random.Random) -> None:
    namespace, name = choice.choice(["ns", "ns-2"]), choice.choice(NAMES)

    async def write(unit: UnitOfWork) -> None:
        for _ in range(choice.choice([1, 1, 2])):
            found = await unit.objects.get(SERVICE_INSTANCE, namespace, name)
            if found is None:
                await unit.objects.insert(instance(name, namespace=namespace))
            elif choice.random() < 0.4:
                await unit.objects.remove(found)
            else:
                await unit.objects.update(found, samples.with_parameters(found, turn=choice.getrandbits(32)))

    await database.run(write)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_moment_of_a_history_is_found_again(database: Database, seed: int) -> None:
    choice = random.Random(seed)
    moments = [await _now(database)]
    for _ in range(25):
        for _ in range(choice.randrange(1, 4)):
            await _write_something(database, choice)
        moments.append(await _now(database))
    for snapshot, objects in moments:
        for limit in (None, 1, 3):
            assert await _then(database, snapshot, limit=limit) == (objects, set())
    places = [(each.metadata.namespace, each.metadata.name) for each in moments[-1][1]]
    assert places == sorted(places)


async def test_a_moment_knows_what_was_under_way(postgresql: Database) -> None:
    """Neither what was written before by those who committed later, nor the other way round."""
    async with held_open(postgresql, lambda unit: unit.objects.insert(instance("slow"))):
        quick = await create_one(postgresql, instance("quick"))
        snapshot, objects = await _now(postgresql)
    await samples.update(postgresql, quick, samples.with_parameters(quick, size="xl"))
    everything = await _then(postgresql, (await _now(postgresql))[0])
    assert objects == [quick]
    assert snapshot.version < position_of(quick)
    assert snapshot.under_way
    assert await _then(postgresql, snapshot) == ([quick], set())
    assert [each.metadata.name for each in everything[0]] == ["quick", "slow"]


async def test_a_version_stands_for_all_changes_up_to_it(database: Database) -> None:
    first = await create_one(database, instance("first"))
    second = await create_one(database, instance("second"))
    changed = await samples.update(database, first, samples.with_parameters(first, size="xl"))
    await samples.remove(database, second)
    for version, objects in (
        (position_of(first) - 1, []),
        (position_of(first), [first]),
        (position_of(second), [first, second]),
        (position_of(changed), [changed, second]),
    ):
        assert await _then(database, Snapshot.at(version)) == (objects, set())


async def test_what_the_log_has_forgotten_is_said_to_be_unknown(database: Database, clock: SetClock) -> None:
    old = await create_one(database, instance("old"))
    resting = await create_one(database, instance("resting"))
    clock.advance(hours=1)
    # Others on the server may hold the horizon below what is trimmed here; in earnest that is hours old.
    await samples.read_at_least(database, 2)
    await database.run(lambda unit: unit.changes.trim(unit.now))
    snapshot, _ = await _now(database)
    changed = await samples.update(database, old, samples.with_parameters(old, size="xl"))
    created = await create_one(database, instance("new"))
    await samples.remove(database, created)
    assert await _then(database, snapshot) == ([resting], {("ns", "old")})
    nearest = (await _part(database, snapshot)).nearest
    assert list(map(ServiceInstance.model_validate, nearest)) == [changed, resting]


async def test_a_moment_that_the_log_no_longer_reaches_is_not_covered(database: Database, clock: SetClock) -> None:
    snapshot, _ = await _now(database)
    await create_one(database, instance("db"))
    clock.advance(hours=1)
    await database.run(lambda unit: unit.changes.trim(unit.now))
    part = await _part(database, snapshot)
    assert not part.is_covered


async def test_other_kinds_and_namespaces_stay_out_of_it(database: Database) -> None:
    snapshot, _ = await _now(database)
    await create_one(database, instance("db", namespace="other"))
    await samples.create(database, samples.sample(kinds.SECRET, "db"))
    listing = Listing(namespace="ns")
    part = await database.run(lambda unit: unit.past.part(SERVICE_INSTANCE, listing, snapshot))
    assert (part.objects, part.unknown) == ([], {})


@pytest.mark.parametrize(
    ("position", "is_seen"),
    [(1, True), (10 * ORDINALS - 1, True), (10 * ORDINALS, False), (11 * ORDINALS + 5, True), (13 * ORDINALS, False)],
)
def test_a_snapshot_sees_what_had_ended(position: int, is_seen: bool) -> None:
    snapshot = Snapshot(10 * ORDINALS, 13 * ORDINALS, (10, 12))
    assert snapshot.sees(position) is is_seen
