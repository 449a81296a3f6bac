"""The work queue gets its name: rows stay, and on PostgreSQL the release before goes on by the names that it knows."""

from datetime import timedelta
from typing import Any

from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.database import Database
from tests.integration.store.samples import NOON

_BEFORE, _AFTER = "2026_11_30_owner_links", "2026_11_30_work_queue"
_LANE = "broker:/a"
_ADD = text(
    "INSERT INTO reconciliations (uid, kind, lane, due_at, enqueue_after, memory)"
    " VALUES (:uid, 'ServiceInstance', :lane, :now, :now, '{}')"
)
_CLAIM = text(
    "UPDATE reconciliations SET lease_owner = 'before', fence = reconciliations.fence + 1, in_flight = 'sealed text'"
    " WHERE uid IN (SELECT uid FROM reconciliations WHERE uid = :uid AND due_at <= :now FOR UPDATE SKIP LOCKED)"
    " RETURNING uid, wishes, fence, in_flight, admitted_at"
)
_CHANGED = text("UPDATE reconciliations SET wishes = reconciliations.wishes + 1 WHERE uid = :uid RETURNING wishes")


def _to(connection: Connection, revision: str) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    (command.upgrade if revision == _AFTER else command.downgrade)(config, revision)


async def _rows(engine: AsyncEngine, query: str, **values: Any) -> list[tuple[Any, ...]]:
    async with engine.begin() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]


async def test_work_and_rate_limits_are_kept_when_they_are_renamed_and_when_that_is_taken_back(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_to, _BEFORE)
        await connection.execute(_ADD, {"uid": "a", "lane": _LANE, "now": NOON})
        await connection.execute(text("UPDATE reconciliations SET wishes = 3, in_flight = 's', admitted_at = due_at"))
        await connection.execute(text("INSERT INTO paces (lane, full_at) SELECT lane, due_at FROM reconciliations"))
        await connection.run_sync(_to, _AFTER)
    after = "SELECT uid, revision, sealed, turn_at = due_at FROM work_queue"
    assert [tuple(map(str, row)) for row in await _rows(engine, after)] in (
        [("a", "3", "s", "True")],
        [("a", "3", "s", "1")],
    )
    assert await _rows(engine, "SELECT lane FROM rate_limits") == [(_LANE,)]
    async with engine.begin() as connection:
        await connection.run_sync(_to, _BEFORE)
    assert await _rows(engine, "SELECT uid, wishes, in_flight FROM reconciliations") == [("a", 3, "s")]
    assert await _rows(engine, "SELECT lane FROM paces") == [(_LANE,)]


async def test_the_release_before_works_on_through_views(postgresql: Database) -> None:
    engine = postgresql._engine
    async with engine.begin() as connection:
        await connection.execute(_ADD, {"uid": "a", "lane": _LANE, "now": NOON})
        claimed = (await connection.execute(_CLAIM, {"uid": "a", "now": NOON})).one()
        assert tuple(claimed) == ("a", 0, 1, "sealed text", None)
        assert (await connection.execute(_CHANGED, {"uid": "a"})).scalar() == 1
        await connection.execute(text("INSERT INTO paces (lane, full_at) VALUES ('l', now())"))
        await connection.execute(text("UPDATE paces SET full_at = now() WHERE lane = 'l'"))
    assert await _rows(engine, "SELECT revision, fence, sealed, attempt FROM work_queue") == [(1, 1, "sealed text", 0)]
    assert await _rows(engine, "SELECT lane FROM rate_limits") == [("l",)]

    held = await postgresql.run(lambda unit: unit.work_queue.claim("a", owner="new", lease=timedelta(seconds=1)))
    assert held is not None
    assert (held.fence, held.revision, held.is_note_lost) == (2, 1, True)
    assert await _rows(engine, "DELETE FROM reconciliations RETURNING uid") == [("a",)]
    assert await _rows(engine, "SELECT uid FROM work_queue") == []
