"""Named leases and the cluster id on both databases: of many processes, one."""

import asyncio
from datetime import timedelta

from chandlery.store.database import Database
from tests.integration.store.conftest import SetClock

MINUTE = timedelta(minutes=1)


async def _acquire(database: Database, owner: str, *, name: str = "sweep") -> bool:
    return await database.run(lambda unit: unit.leases.acquire(name, owner=owner, duration=MINUTE))


async def _cluster_id(database: Database, wanted: str | None = None) -> str:
    return await database.run(lambda unit: unit.leases.cluster_id(wanted))


async def test_a_lease_is_had_by_one_owner(database: Database) -> None:
    assert await _acquire(database, "me")
    assert not await _acquire(database, "another")
    assert await _acquire(database, "another", name="other")


async def test_of_many_who_ask_at_once_one_gets_the_lease(database: Database) -> None:
    answers = await asyncio.gather(*(_acquire(database, f"owner-{number}") for number in range(20)))

    assert sum(answers) == 1


async def test_a_lease_lasts_from_its_last_renewal(database: Database, clock: SetClock) -> None:
    assert await _acquire(database, "me")
    clock.advance(seconds=45)
    assert await _acquire(database, "me")
    clock.advance(seconds=45)

    assert not await _acquire(database, "another")


async def test_a_lease_that_ran_out_goes_to_one_of_those_who_ask(database: Database, clock: SetClock) -> None:
    await _acquire(database, "dead")
    clock.advance(seconds=60.001)

    answers = await asyncio.gather(*(_acquire(database, f"owner-{number}") for number in range(20)))

    assert sum(answers) == 1
    assert not await _acquire(database, "dead")


async def test_a_lease_that_is_given_back_is_free_at_once(database: Database) -> None:
    await _acquire(database, "me")
    await database.run(lambda unit: unit.leases.give_back("sweep", owner="another"))
    assert not await _acquire(database, "another")

    await database.run(lambda unit: unit.leases.give_back("sweep", owner="me"))
    assert await _acquire(database, "another")


async def test_the_cluster_id_is_made_up_once(database: Database) -> None:
    ids = await asyncio.gather(*(_cluster_id(database) for _ in range(10)))

    assert len(set(ids)) == 1
    assert len(ids[0]) == 36
    assert await _cluster_id(database) == ids[0]


async def test_a_configured_cluster_id_wins_and_is_kept_if_it_was_the_first(database: Database) -> None:
    assert await _cluster_id(database, "configured") == "configured"
    assert await _cluster_id(database) == "configured"
    assert await _cluster_id(database, "another") == "another"
