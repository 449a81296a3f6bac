"""Recorded events: equal ones are counted at the first, and watchers see each count."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.event import listen as hear
from sqlalchemy.event import remove

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Event, InvolvedObject
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.pruning.steps import Place, Step
from tests.integration.store import samples
from tests.integration.store.samples import NOON
from tests.support.waiting import SOON

MINUTE = timedelta(minutes=1)


def event(name: str = "db.1", *, minute: int = 0, namespace: str = "ns") -> Event:
    at = NOON + minute * MINUTE
    metadata = samples.meta(name, namespace).model_copy(update={"uid": str(uuid.uuid4()), "generation": None})
    involved = InvolvedObject(kind="ServiceInstance", name="db", uid="instance-uid", api_version="v1")
    return Event(
        metadata=metadata.model_copy(update={"creation_timestamp": at}),
        involved_object=involved,
        reason="Fails",
        message='it says "é\n" \\ {} and :x',
        first_timestamp=at,
        last_timestamp=at,
        type="Warning",
    )


async def record(database: Database, *events: Event) -> None:
    async def work(unit: UnitOfWork) -> None:
        for each in events:
            unit.events.record(each)

    await database.run(work)


async def stored(database: Database) -> Sequence[Any]:
    return await database.run(lambda unit: unit.objects.list(kinds.EVENT, Listing()))


async def test_first_event_is_stored_as_it_was_recorded(database: Database) -> None:
    wanted = event()
    await record(database, wanted, event("other"))
    (found, _) = await stored(database)
    version = {"resource_version": found.metadata.resource_version}
    assert found == wanted.model_copy(update={"metadata": wanted.metadata.model_copy(update=version)})
    (added, _) = await samples.read_at_least(database, 2)
    assert added.verb == "ADDED"
    assert str(added.position) == found.metadata.resource_version
    assert added.stored == found.to_wire()


async def test_equal_event_is_counted_at_the_first(database: Database) -> None:
    first = event()
    await record(database, first)
    await record(database, event(minute=3), event("new", minute=3))
    await record(database, event(minute=7))

    (counted, new) = await stored(database)
    assert (counted.metadata.uid, counted.count) == (first.metadata.uid, 3)
    assert (counted.first_timestamp, counted.last_timestamp) == (NOON, NOON + 7 * MINUTE)
    assert counted.metadata.creation_timestamp == NOON
    assert (new.metadata.name, new.count) == ("new", 1)
    changes = await samples.read_at_least(database, 4)
    assert [(change.name, change.verb) for change in changes] == [
        ("db.1", "ADDED"),
        ("new", "ADDED"),
        ("db.1", "MODIFIED"),
        ("db.1", "MODIFIED"),
    ]
    assert changes[-1].stored == counted.to_wire()


async def test_equal_events_of_one_transaction_are_one(database: Database) -> None:
    await record(database, event(), event(minute=1), event(namespace="elsewhere"))
    assert [(each.metadata.namespace, each.count) for each in await stored(database)] == [("elsewhere", 1), ("ns", 2)]


async def test_positions_stay_in_order_with_what_else_is_written(database: Database) -> None:
    await record(database, event("a"))

    async def work(unit: UnitOfWork) -> None:
        unit.events.record(event("a"))
        unit.events.record(event("b"))
        await unit.objects.insert(samples.instance("one"))
        await unit.objects.insert_later(samples.instance("two"))

    await database.run(work)
    changes = await samples.read_at_least(database, 5)
    positions = [change.position for change in changes]
    assert len(set(positions)) == 5
    listed = {each.metadata.name: int(each.metadata.resource_version) for each in await stored(database)}
    assert listed == {"a": changes[-1].position, "b": next(each.position for each in changes if each.name == "b")}


async def forget(database: Database, before: datetime, *, limit: int = 10, after: Place | None = None) -> Step:
    return await database.run(lambda unit: unit.old_events.forget(before, limit=limit, after=after))


async def test_old_events_that_stay_keep_no_others_from_going(database: Database) -> None:
    names = ["a", "b", "c", "d", "e"]
    await record(database, *(event(name) for name in names))
    again = names[:3]
    await record(database, *(event(name, minute=90) for name in again))
    gone, place = 0, None
    for _ in range(3):
        removed, place = await forget(database, NOON + 60 * MINUTE, limit=2, after=place)
        gone += removed
    assert (gone, place) == (2, None)
    assert sorted(each.metadata.name for each in await stored(database)) == again


async def test_old_event_that_was_counted_again_stays(database: Database) -> None:
    await record(database, event("silent"), event("again"))
    await record(database, event("again", minute=90))
    assert await forget(database, NOON + 60 * MINUTE) == Step(1, None)
    assert [each.metadata.name for each in await stored(database)] == ["again"]

    assert await forget(database, NOON + 91 * MINUTE) == Step(1, None)
    await record(database, event("again", minute=95))
    (anew,) = await stored(database)
    assert anew.count == 1


async def test_who_records_what_another_is_just_recording_counts_it_there(postgresql: Database) -> None:
    async def first(unit: UnitOfWork) -> None:
        unit.events.record(event())
        await unit.events.flush()

    async with samples.held_open(postgresql, first):
        second = asyncio.create_task(record(postgresql, event(minute=1)))
        await samples.until_somebody_waits(postgresql)
    async with asyncio.timeout(SOON):
        await second
    (only,) = await stored(postgresql)
    assert only.count == 2


async def test_events_that_are_there_already_are_counted_in_one_statement(database: Database) -> None:
    many = [event(f"db.{number:02}") for number in range(32)]
    await record(database, *many)
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "events" in statement:
            seen.append(statement.split(maxsplit=1)[0])

    hear(database._engine.sync_engine, "before_cursor_execute", note)
    await record(database, *(event(f"db.{number:02}", minute=1) for number in range(32)))
    remove(database._engine.sync_engine, "before_cursor_execute", note)
    assert seen == ["INSERT", "SELECT", "UPDATE"]
    found = await stored(database)
    assert {each.count for each in found} == {2}
    changes = await samples.read_at_least(database, 64)
    assert [change.position for change in changes[32:]] == sorted(int(each.metadata.resource_version) for each in found)
    assert {change.verb for change in changes[32:]} == {"MODIFIED"}


async def test_an_event_that_is_counted_tells_the_trace_of_the_last_time(database: Database) -> None:
    def traced(trace_id: str, minute: int = 0) -> Event:
        made = event(minute=minute)
        annotations = {"chandlery.io/trace-id": trace_id}
        return made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": annotations})})

    await record(database, traced("first"))
    await record(database, traced("second", minute=1))
    (found,) = await stored(database)
    assert (found.count, found.metadata.annotations) == (2, {"chandlery.io/trace-id": "second"})


async def test_surplus_events_are_found_however_small_the_steps(database: Database) -> None:
    for number in range(6):
        await record(database, event(f"db.{number}", minute=number))
    steps, place = 0, None

    async def forget_surplus(unit: UnitOfWork) -> Step:
        return await unit.old_events.forget_surplus(keep=1, since=NOON, limit=2, after=place)

    while steps == 0 or place is not None:
        _, place = await database.run(forget_surplus)
        steps += 1
        assert steps < 20
    assert [each.metadata.name for each in await stored(database)] == ["db.5"]


async def test_of_one_object_the_latest_events_are_kept(database: Database) -> None:
    async def forget_surplus() -> Step:
        return await database.run(lambda unit: unit.old_events.forget_surplus(keep=3, since=NOON, limit=10))

    await record(database, event("db.0"), event("db.0", namespace="elsewhere"))
    for number in range(1, 6):
        await record(database, event(f"db.{number}", minute=number))
    await record(database, event("db.0", minute=9))
    assert [await forget_surplus(), await forget_surplus()] == [Step(3, None), Step(0, None)]
    found = [(each.metadata.namespace, each.metadata.name) for each in await stored(database)]
    assert found == [("elsewhere", "db.0"), ("ns", "db.0"), ("ns", "db.4"), ("ns", "db.5")], (
        "the first was counted last"
    )
