"""Columns and rows of the outbox that hold no trace, as a hand or another program may have left them: work goes on."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from chandlery.contracts.messages import Reconcile
from chandlery.store.database import Database
from chandlery.store.schema import OUTBOX
from chandlery.store.work.work_claims import NO_TRACE
from tests.integration.store.conftest import OpenDatabase, SetClock
from tests.integration.store.work import work

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WITHOUT = Reconcile(kind=work.KIND, uid="uid", lane=work.LANE)
MINUTE = timedelta(minutes=1)


async def write(database: Database, told: Any) -> None:
    """Into both columns, past everything that knows what may be in them."""
    mark = "?" if database._is_sqlite else "$1"
    async with database._engine.begin() as connection:
        driver = await connection.get_raw_connection()
        statement = f"UPDATE work_queue SET traceparent = {mark}, last_traceparent = {mark}"
        plain: Any = driver.driver_connection
        await plain.execute(statement, (told, told) if database._is_sqlite else told)


async def work_on(database: Database, clock: SetClock, told: Any) -> None:
    """All that reads the columns or hands them on: the sweep, a look, a claim and a release."""
    await work.add(database)
    await write(database, told)
    clock.advance(seconds=MINUTE.total_seconds())
    assert list(await database.run(lambda unit: unit.work_queue.due(limit=1))) == [WITHOUT]
    assert list(await database.run(lambda unit: unit.wakes.enqueue_once("uid"))) == [WITHOUT]
    held = await work.claim_surely(database)
    assert held.trace == NO_TRACE
    await work.touch(database)
    await write(database, told)
    assert await work.release(database, held) == WITHOUT


@pytest.mark.parametrize(
    "told",
    ["", "nonsense", TRACE[:-1], TRACE.upper(), f"ff{TRACE[2:]}", "00-\n\t\x7f", "ß" * 55],
    ids=["empty", "word", "too short", "capitals", "version ff", "control characters", "beyond ASCII"],
)
async def test_object_whose_trace_is_none_is_worked_on_like_one_without(
    database: Database, clock: SetClock, told: str
) -> None:
    await work_on(database, clock, told)


@pytest.mark.parametrize("told", [b"\xff\xfe\x00", 7, 0.5, "x" * 1_000_000], ids=["binary", "int", "float", "huge"])
async def test_object_in_a_database_that_takes_anything_is_worked_on_too(
    sqlite_url: str, open_database: OpenDatabase, clock: SetClock, told: Any
) -> None:
    await work_on(open_database(sqlite_url), clock, told)


@pytest.mark.parametrize(
    "told",
    [7, None, "", "nonsense", TRACE[:-1], TRACE + "x" * 2_000, {"a": "b"}],
    ids=["number", "null", "empty", "word", "too short", "long", "object"],
)
async def test_message_in_the_outbox_whose_trace_is_none_is_published_without_it(
    database: Database, clock: SetClock, told: Any
) -> None:
    message = {"type": "Reconcile", "kind": work.KIND, "uid": "uid", "lane": work.LANE, "traceparent": told}
    async with database._engine.begin() as connection:
        await connection.execute(insert(OUTBOX), {"at": clock.now, "message": json.dumps(message)})
    clock.advance(seconds=1)

    kept = await database.run(lambda unit: unit.outbox.older_than(clock.now, limit=9))

    assert [entry.message for entry in kept] == [WITHOUT]
