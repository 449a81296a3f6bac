"""The promise behind `watch`, on PostgreSQL: transactions commit in any order, readers see one order without gaps."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from tests.integration.store import samples
from tests.integration.store.conftest import OpenDatabase
from tests.integration.store.samples import create_one, held_open, instance, position_of, read, read_at_least

WRITERS = 10
TRANSACTIONS = 20
NAMES = [f"db-{number}" for number in range(6)]
LONGEST_PAUSE_SECONDS = 0.03


class Writer:
    """Creates, changes and removes objects whose names it shares with the other writers."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._random = random.Random(seed)
        self.committed: list[int] = []
        self.lost = 0

    async def run(self, commits: list[int]) -> None:
        for _ in range(TRANSACTIONS):
            try:
                positions = await self._database.run(self._transaction)
            except (AlreadyExists, Conflict):
                self.lost += 1
                continue
            self.committed += positions
            commits.append(positions[0])

    async def _transaction(self, unit: UnitOfWork) -> list[int]:
        # The number is taken by the first write; the pause before the commit is what puts commits out of order.
        own = await unit.objects.insert(instance(f"own-{self._random.getrandbits(64):x}"))
        positions = [position_of(own)]
        for name in self._random.sample(NAMES, self._random.choice((0, 1, 1, 2))):
            await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE_SECONDS))
            positions.append(await self._write(unit, name))
        await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE_SECONDS))
        return positions

    async def _write(self, unit: UnitOfWork, name: str) -> int:
        found = await unit.objects.get(SERVICE_INSTANCE, "ns", name)
        if found is None:
            return position_of(await unit.objects.insert(instance(name)))
        if self._random.random() < 0.5:
            return position_of(await unit.objects.remove(found))
        changed = samples.with_parameters(found, turn=self._random.getrandbits(32))
        return position_of(await unit.objects.update(found, changed))


async def _follow(database: Database, writers: asyncio.Task[None], seen: list[LoggedChange]) -> None:
    """Read as a watcher does, in small pages, for as long as somebody writes and there is something to read."""
    while True:
        is_over = writers.done()
        page = await read(database, seen[-1].position if seen else 0, limit=5)
        seen += page
        if is_over and not page:
            return
        await asyncio.sleep(0 if page else 0.001)


async def test_a_reader_sees_every_committed_change_once_and_in_order(
    postgresql: Database, postgresql_url: str, open_database: OpenDatabase
) -> None:
    writers = [Writer(postgresql, seed) for seed in range(WRITERS)]
    commits: list[int] = []
    seen: list[LoggedChange] = []

    async def write() -> None:
        await asyncio.gather(*(writer.run(commits) for writer in writers))

    async with asyncio.timeout(60):
        writing = asyncio.create_task(write())
        await _follow(open_database(postgresql_url), writing, seen)
        await writing
        expected = sorted(position for writer in writers for position in writer.committed)
        # Others on the same server can hold the horizon for a moment.
        missing = len(expected) - len(seen)
        seen += await read_at_least(postgresql, missing, after=seen[-1].position) if missing > 0 else []

    assert [change.position for change in seen] == expected
    assert commits != sorted(commits), "no transaction overtook another: this run has proved nothing"
    assert len(commits) > WRITERS * TRANSACTIONS / 4
    _assert_each_name_has_a_life_in_order(seen)


def _assert_each_name_has_a_life_in_order(changes: Sequence[LoggedChange]) -> None:
    """ADDED, any number of MODIFIED, DELETED, ADDED again, each about the object that lived then."""
    lives: dict[str, list[LoggedChange]] = defaultdict(list)
    for change in changes:
        lives[change.name].append(change)
    assert any(change.verb == ChangeVerb.DELETED for change in changes)
    assert any(change.verb == ChangeVerb.MODIFIED for change in changes)
    for name, life in lives.items():
        alive: str | None = None
        for change in life:
            uid = change.stored["metadata"]["uid"]
            if change.verb == ChangeVerb.ADDED:
                assert alive is None, f"{name} was added twice"
                alive = uid
                continue
            assert alive == uid, f"{name}: {change.verb} of an object that was not there"
            alive = None if change.verb == ChangeVerb.DELETED else uid


async def test_a_long_transaction_holds_readers_back_and_then_they_get_everything(postgresql: Database) -> None:
    async with held_open(postgresql, lambda unit: unit.objects.insert(instance("slow"))):
        for number in range(3):
            await create_one(postgresql, instance(f"quick-{number}"))
        held = await read(postgresql)
        horizon = await postgresql.run(lambda unit: unit.changes.horizon())

    changes = await read_at_least(postgresql, 4)
    assert held == []
    assert [change.name for change in changes] == ["slow", "quick-0", "quick-1", "quick-2"]
    assert horizon <= changes[0].position


async def test_a_long_transaction_that_fails_lets_readers_go_on(postgresql: Database) -> None:
    async def fail(unit: UnitOfWork) -> None:
        await unit.objects.insert(instance("slow"))
        await create_one(postgresql, instance("quick"))
        assert await read(postgresql) == []
        raise LookupError

    with pytest.raises(LookupError):
        await postgresql.run(fail)

    assert [change.name for change in await read_at_least(postgresql, 1)] == ["quick"]


async def test_a_create_that_was_overtaken_by_a_delete_of_its_name_is_refused(postgresql: Database) -> None:
    """Its number is smaller than the delete's: readers would see the new object first and then its end."""
    old = await create_one(postgresql, instance("db"))

    async def create_late(unit: UnitOfWork) -> None:
        await unit.objects.insert(instance("first-write-takes-the-number"))
        await samples.remove(postgresql, old)
        await unit.objects.insert(instance("db"))

    with pytest.raises(Conflict, match="a newer change of the same object"):
        await postgresql.run(create_late)

    changes = await read_at_least(postgresql, 2)
    assert [(change.name, change.verb) for change in changes] == [("db", "ADDED"), ("db", "DELETED")]


async def test_a_create_that_waits_for_a_delete_comes_after_it(postgresql: Database) -> None:
    old = await create_one(postgresql, instance("db"))
    async with held_open(postgresql, lambda unit: unit.objects.remove(old)):
        # It takes its number after the delete has, and waits for the name.
        creating = asyncio.create_task(create_one(postgresql, instance("db")))
        await samples.until_somebody_waits(postgresql)

    new = await creating
    changes = await read_at_least(postgresql, 3)
    assert [change.verb for change in changes] == ["ADDED", "DELETED", "ADDED"]
    assert changes[2].position == position_of(new)


@pytest.mark.parametrize("write", [samples.change_parameters, samples.remove_in])
async def test_a_write_with_a_smaller_number_than_the_stored_version_is_refused(
    postgresql: Database, write: samples.Write
) -> None:
    created = await create_one(postgresql, instance("db"))

    async def write_late(unit: UnitOfWork) -> None:
        await unit.objects.insert(instance("first-write-takes-the-number"))
        overtaking = await samples.update(postgresql, created, samples.with_parameters(created, by="another"))
        await write(unit, overtaking)

    with pytest.raises(Conflict, match="the object has been modified"):
        await postgresql.run(write_late)

    assert [change.verb for change in await read_at_least(postgresql, 2)] == ["ADDED", "MODIFIED"]


async def test_two_creates_of_one_name_at_once_make_one_object(postgresql: Database) -> None:
    results = await asyncio.gather(*(create_one(postgresql, instance("db")) for _ in range(8)), return_exceptions=True)

    created = [result for result in results if not isinstance(result, BaseException)]
    assert len(created) == 1
    assert {type(result) for result in results} == {type(created[0]), AlreadyExists}
    assert [change.position for change in await read_at_least(postgresql, 1)] == [position_of(created[0])]
