"""A database that holds the same external id several times gets the newest tables: the oldest object keeps the id."""

from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.schema import EXTERNAL_IDS, OBJECTS, WORK_QUEUE
from tests.integration.store.samples import NOON

_BEFORE = "2026_11_23_generated_names"
_WORK = text("INSERT INTO reconciliations (uid, kind, lane) VALUES (:uid, :kind, :lane)")
"""As the work queue was called then."""
_KINDS = {"i": "ServiceInstance", "b": "ServiceBinding"}

# uid, external id, lane, hours after noon at which it was created, id of rotated credentials
OBJECTS_BEFORE = [
    ("i-young", "shared", "broker:/a", 2, None),
    ("i-old", "shared", "broker:/a", 1, None),
    ("i-elsewhere", "shared", "broker:/b", 3, None),
    ("i-homeless", "shared", "unresolved", 0, None),
    ("i-alone", "own", "broker:/a", 4, None),
    ("b-rotated", "first", "broker:/a", 2, "second"),
    ("b-thief", "second", "broker:/a", 1, None),
    ("b-shared", "shared", "broker:/a", 1, None),
]


def _to(connection: Connection, revision: str) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    (command.upgrade if revision == "head" else command.downgrade)(config, revision)


def _fill(connection: Connection) -> None:
    for uid, external_id, lane, hours, rotated in OBJECTS_BEFORE:
        kind = _KINDS[uid[0]]
        row = {
            "uid": uid,
            "namespace": "ns",
            "name": uid,
            "resource_version": 1,
            "created_at": NOON + timedelta(hours=hours),
            "spec": {},
            "status": {"externalID": rotated} if rotated else {},
            "external_id": external_id,
        }
        connection.execute(insert(OBJECTS[kind]).values(row))
        connection.execute(_WORK, {"uid": uid, "kind": kind, "lane": lane})


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.run_sync(_to, _BEFORE)
        await connection.run_sync(_fill)
    return engine


async def test_the_oldest_object_keeps_an_external_id_that_several_have_at_one_broker(filled: AsyncEngine) -> None:
    async with filled.begin() as connection:
        await connection.run_sync(_to, "head")
        rows = (await connection.execute(select(EXTERNAL_IDS))).all()
    assert {tuple(row) for row in rows} == {
        ("broker:/a", "ServiceInstance", "shared", "i-old"),
        ("broker:/b", "ServiceInstance", "shared", "i-elsewhere"),
        ("broker:/a", "ServiceInstance", "own", "i-alone"),
        ("broker:/a", "ServiceBinding", "first", "b-rotated"),
        ("broker:/a", "ServiceBinding", "second", "b-rotated"),
        ("broker:/a", "ServiceBinding", "shared", "b-shared"),
    }


async def test_whoever_loses_its_external_id_by_a_migration_is_looked_at_again(filled: AsyncEngine) -> None:
    async with filled.begin() as connection:
        await connection.run_sync(_to, "head")
        due = select(WORK_QUEUE.c.uid, WORK_QUEUE.c.due_at).where(WORK_QUEUE.c.due_at.is_not(None))
        rows = (await connection.execute(due)).all()
    assert {uid for uid, _ in rows} == {"i-young", "b-thief"}
    assert all(_utc(moment) <= datetime.now(UTC) for _, moment in rows)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
