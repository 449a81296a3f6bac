"""What is counted in the database for all, on both databases; and that it is cheap where there is much."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.contracts.messages import LaneOpened
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.schema import WORK_QUEUE
from chandlery.store.work import object_counts, work_counts
from chandlery.store.work.object_counts import ReadyObjects
from chandlery.store.work.work_counts import CountStore, DueWork, ExpiringBindings, WaitingMessages
from tests.integration.store.conftest import SetClock
from tests.integration.store.samples import NOON
from tests.integration.store.work.work import KIND, LANE, add, claim_surely, release

T = TypeVar("T")
MINUTE = timedelta(minutes=1)
COLUMNS = ("uid", "kind", "lane", "memory", "ready", "due_at", "enqueue_after", "expires_at")
MANY = """
SELECT 'u' || g, 'ServiceBinding', 'broker:/b-' || (g % 50), '{"lane": "broker:/b"}', 'True',
    CASE WHEN g % 1000 = 0 THEN TIMESTAMPTZ '2026-03-14 11:59Z' END,
    CASE WHEN g % 1000 = 0 THEN TIMESTAMPTZ '2026-03-14 12:00Z' END,
    CASE WHEN g % 1000 = 0 THEN TIMESTAMPTZ '2026-03-15 12:00Z' END
FROM generate_series(1, 20000) AS g
"""


async def count(database: Database, how: Callable[[CountStore], Awaitable[T]]) -> T:
    async def work(unit: UnitOfWork) -> T:
        return await how(unit.counts)

    return await database.run(work)


async def _rows(engine: AsyncEngine, *rows: dict[str, Any]) -> None:
    async with engine.begin() as connection:
        for number, row in enumerate(rows):
            plain = {"uid": f"uid-{number}", "kind": "ServiceBinding", "lane": LANE, "memory": {}}
            await connection.execute(insert(WORK_QUEUE).values({**plain, **row}))


async def _fill_visibly(engine: AsyncEngine) -> None:
    """All pages are visible to everybody from the start; whether VACUUM says so is up to transactions of others."""
    rows = BytesIO()
    async with engine.connect() as connection:
        plain: Any = (await connection.get_raw_connection()).driver_connection
        await plain.copy_from_query(MANY, output=rows)
        rows.seek(0)
        async with plain.transaction():
            # FREEZE is for tables that the same transaction has emptied.
            await plain.execute("TRUNCATE work_queue")
            await plain.copy_to_table("work_queue", source=rows, columns=COLUMNS, freeze=True)
        await plain.execute("ANALYZE work_queue")


async def test_what_is_due_and_free_is_the_backlog(database: Database, clock: SetClock) -> None:
    for uid in ("free", "held", "done", "later"):
        await add(database, uid)
    clock.advance(minutes=1)
    await claim_surely(database, "held")
    await release(database, await claim_surely(database, "done"))
    await release(database, await claim_surely(database, "later"), due_at=clock.now + MINUTE)
    await add(database, "younger")

    assert await count(database, CountStore.backlog) == [DueWork(KIND, LANE, 2, 60.0)]


async def test_what_a_dead_process_holds_is_backlog_once_its_lease_has_ended(
    database: Database, clock: SetClock
) -> None:
    await add(database)
    await claim_surely(database)
    assert await count(database, CountStore.backlog) == []

    clock.advance(minutes=1)

    assert await count(database, CountStore.backlog) == [DueWork(KIND, LANE, 1, 60.0)]


async def test_what_is_swept_again_and_again_stays_in_the_backlog(database: Database, clock: SetClock) -> None:
    await add(database)
    for _ in range(20):
        clock.advance(minutes=10)
        await database.run(lambda unit: unit.work_queue.due(limit=10))

    assert [each.number for each in await count(database, CountStore.backlog)] == [1]


async def test_the_backlog_is_told_by_kind_and_lane(database: Database, engine: AsyncEngine) -> None:
    due = {"due_at": NOON - MINUTE, "enqueue_after": NOON}
    await _rows(engine, due, {**due, "lane": "broker:/other"}, {**due, "kind": KIND}, due)

    assert set(await count(database, CountStore.backlog)) == {
        DueWork("ServiceBinding", LANE, 2, 60.0),
        DueWork("ServiceBinding", "broker:/other", 1, 60.0),
        DueWork(KIND, LANE, 1, 60.0),
    }


async def test_a_count_ends_at_its_limit(
    database: Database, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_counts, "MOST_DUE", 2)
    await _rows(engine, *({"due_at": NOON, "enqueue_after": NOON} for _ in range(3)))

    assert [each.number for each in await count(database, CountStore.backlog)] == [2]


async def test_objects_are_told_by_their_ready_and_only_those_that_can_be_ready(
    database: Database, engine: AsyncEngine
) -> None:
    ready: list[dict[str, Any]] = [{"ready": each} for each in ("True", "True", "False", None)]
    await _rows(engine, *ready, {"kind": "Namespace"})

    found, following = await count(database, CountStore.objects)
    assert following is None
    assert set(found) == {
        ReadyObjects("ServiceBinding", LANE, "True", 2),
        ReadyObjects("ServiceBinding", LANE, "False", 1),
        ReadyObjects("ServiceBinding", LANE, "Unknown", 1),
    }


async def test_a_large_table_that_was_much_written_to_is_counted_page_by_page(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_counts, "PAGES", 50)
    monkeypatch.setattr(object_counts, "_MOST_WRITTEN", -1)
    async with postgresql._engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO work_queue ({', '.join(COLUMNS)}) {MANY}"))
        await connection.execute(text("UPDATE work_queue SET ready = NULL WHERE lane = 'broker:/b-7'"))
        await connection.execute(text("DELETE FROM work_queue WHERE lane = 'broker:/b-8'"))
    counted: Counter[tuple[str, str]] = Counter()
    parts = 0
    following: int | None = 0
    while following is not None:
        found, following = await count(postgresql, partial(CountStore.objects, first=following))
        counted.update({(each.lane, each.ready): each.number for each in found})
        parts += 1
    assert parts > 3
    lanes = {f"broker:/b-{number}" for number in range(50)} - {"broker:/b-8"}
    assert counted == {(lane, "Unknown" if lane.endswith("-7") else "True"): 400 for lane in lanes}


async def test_no_count_takes_long_or_more_than_one_core(postgresql: Database) -> None:
    async def settings(unit: UnitOfWork) -> tuple[str, str]:
        await unit.counts.backlog()
        shown = [
            (await unit._connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in ("statement_timeout", "max_parallel_workers_per_gather")
        ]
        return shown[0], shown[1]

    async def afterwards(unit: UnitOfWork) -> str:
        return str((await unit._connection.execute(text("SHOW statement_timeout"))).scalar_one())

    before = await postgresql.run(afterwards)
    assert await postgresql.run(settings) == ("2s", "0")
    assert await postgresql.run(afterwards) == before != "2s"


async def test_credentials_that_end_are_told_by_how_soon(database: Database, engine: AsyncEngine) -> None:
    ends = [timedelta(hours=-1), timedelta(minutes=59), timedelta(hours=2), timedelta(days=3), timedelta(days=8)]
    await _rows(engine, *({"expires_at": NOON + end} for end in ends), {})

    assert await count(database, CountStore.expiring) == [ExpiringBindings(LANE, 2, 3, 4)]


async def test_the_outbox_is_told_by_its_length_and_its_oldest_message(database: Database, clock: SetClock) -> None:
    assert await count(database, CountStore.outbox) == WaitingMessages(0, 0.0)

    async def speak(unit: UnitOfWork) -> None:
        unit.outbox.add(LaneOpened(lane="lane-1"))

    await database.run(speak)
    clock.advance(minutes=1)
    await database.run(speak)

    assert await count(database, CountStore.outbox) == WaitingMessages(2, 60.0)


async def test_the_size_of_the_database_is_known(database: Database) -> None:
    assert await count(database, CountStore.size) > 100_000


@pytest.mark.parametrize(
    ("how", "index"),
    [
        pytest.param(CountStore.backlog, "ix_work_queue_enqueue_after", id="backlog"),
        pytest.param(CountStore.objects, "Index Only Scan using ix_work_queue_lane", id="objects"),
        pytest.param(CountStore.expiring, "ix_work_queue_expires_at", id="expiring"),
    ],
)
async def test_an_index_leads_to_what_is_counted(
    postgresql: Database, how: Callable[[CountStore], Awaitable[Any]], index: str
) -> None:
    engine = postgresql._engine
    await _fill_visibly(engine)
    said: list[tuple[str, Any]] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: said.append((given[2], given[3])))

    await count(postgresql, how)

    statement, values = said[-1]
    async with engine.connect() as connection:
        plain: Any = (await connection.get_raw_connection()).driver_connection
        plan = "\n".join(row[0] for row in await plain.fetch(f"EXPLAIN {statement}", *values))
    assert index in plan, plan


async def test_what_is_counted_of_an_object_is_written_with_its_release(
    database: Database, engine: AsyncEngine
) -> None:
    await add(database)
    async with engine.begin() as connection:
        await connection.execute(update(WORK_QUEUE).values(ready="True"))
    await release(database, await claim_surely(database))

    assert await count(database, CountStore.objects) == ([ReadyObjects(KIND, LANE, "Unknown", 1)], None)
