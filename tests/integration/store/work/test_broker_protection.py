"""Open circuits and lines before service brokers, on both databases: what processes see of each other."""

import asyncio
from datetime import datetime, timedelta

from chandlery.retry.circuit import OpenCircuit
from chandlery.retry.rate_limit import CallRate, Turn
from chandlery.store.database import Database
from tests.integration.store.conftest import SetClock

LANE, OTHER = "broker:/harbour", "broker:/other"


def circuit(now: datetime, message: str = "all calls fail") -> OpenCircuit:
    return OpenCircuit(opened_at=now, retry_at=now + timedelta(seconds=30), message=message)


async def note(database: Database, owner: str, message: str = "all calls fail", lane: str = LANE) -> bool:
    shown = circuit(database.clock(), message)
    return await database.run(lambda unit: unit.circuits.note_open(lane, shown, owner=owner))


async def seen(database: Database, lane: str = LANE) -> OpenCircuit | None:
    return await database.run(lambda unit: unit.circuits.open_circuit(lane))


async def place(database: Database, rate: CallRate, lane: str = LANE) -> Turn:
    return await database.run(lambda unit: unit.rate_limits.take_turn(lane, rate))


async def test_an_open_circuit_is_seen_by_others_until_it_closes(database: Database) -> None:
    assert await seen(database) is None
    assert await note(database, "me")

    assert await seen(database) == circuit(database.clock())
    assert await seen(database, OTHER) is None
    assert await database.run(lambda unit: unit.circuits.open_lanes("me")) == {LANE}

    assert await database.run(lambda unit: unit.circuits.note_closed(LANE))
    assert not await database.run(lambda unit: unit.circuits.note_closed(LANE))
    assert await seen(database) is None


async def test_a_circuit_that_stays_open_is_no_news(database: Database) -> None:
    assert await note(database, "me")
    assert not await note(database, "me", "they still fail")
    assert await note(database, "another")


async def test_whoever_was_answered_takes_away_what_all_have_noted(database: Database) -> None:
    await note(database, "me")
    await note(database, "another")
    await note(database, "another", lane=OTHER)
    await database.run(lambda unit: unit.circuits.note_closed(LANE))

    assert await database.run(lambda unit: unit.circuits.open_lanes("me")) == set()
    assert await database.run(lambda unit: unit.circuits.open_lanes("another")) == {OTHER}


async def test_whoever_ends_takes_away_its_own_notes_only(database: Database, clock: SetClock) -> None:
    await note(database, "me")
    clock.advance(seconds=1)
    await note(database, "another", "another's")
    await database.run(lambda unit: unit.circuits.note_closed(LANE, owner="me"))

    left = await seen(database)
    assert left is not None
    assert left.message == "another's"


async def test_notes_of_the_dead_are_not_believed_for_ever(database: Database, clock: SetClock) -> None:
    await note(database, "dead")
    clock.advance(seconds=16 * 60)

    assert await seen(database) is None
    assert await database.run(lambda unit: unit.circuits.forget_silent()) == [LANE]
    assert await database.run(lambda unit: unit.circuits.open_lanes("dead")) == set()


async def test_processes_stand_in_one_line_before_a_broker(database: Database) -> None:
    rate = CallRate(per_second=1, burst=2)
    places = await asyncio.gather(*(place(database, rate) for _ in range(6)))

    waits = sorted((each.at - database.clock()).total_seconds() for each in places)
    assert waits == [0, 0, 1, 2, 3, 4]
    assert (await place(database, rate, OTHER)).at == database.clock()


async def test_a_place_is_given_back_when_the_transaction_fails(database: Database) -> None:
    rate = CallRate(per_second=1)
    await place(database, rate)
    await database.run(lambda unit: unit.rate_limits.take_turn(LANE, rate), dry_run=True)

    assert (await place(database, rate)).at == database.clock() + timedelta(seconds=1)
