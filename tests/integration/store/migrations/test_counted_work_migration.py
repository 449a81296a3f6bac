"""What metrics count of objects is read once from the statuses that are there; and the release before works on."""

from typing import Any

from alembic import command
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store import migrate as migrations
from chandlery.store.rows import utc
from chandlery.store.schema import OBJECTS, WORK_QUEUE
from tests.integration.store.samples import NOON

_BEFORE, _AFTER = "2026_12_01_account_tokens", "2026_12_02_counted_work"
_ADD = "INSERT INTO work_queue (uid, kind, lane, memory) VALUES (:uid, :kind, 'broker:/a', '{}')"
_READY = {"type": "Ready", "status": "True"}
_STATUSES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "i-ready": ("ServiceInstance", {"conditions": [{"type": "CircuitOpen", "status": "False"}, _READY]}),
    "i-new": ("ServiceInstance", None),
    "i-odd": ("ServiceInstance", {"conditions": []}),
    "b-ends": ("ServiceBinding", {"conditions": [_READY], "expiresAt": "2026-03-14T12:00:00Z"}),
    "b-stays": ("ServiceBinding", {"conditions": [{"type": "Ready", "status": "Unknown"}]}),
    "c-broken": ("ClusterServiceBroker", {"conditions": [{"type": "Ready", "status": "False"}]}),
}


def _to(connection: Connection, revision: str) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    (command.upgrade if revision == _AFTER else command.downgrade)(config, revision)


def _fill(connection: Connection) -> None:
    for uid, (kind, status) in _STATUSES.items():
        row = {"uid": uid, "namespace": "", "name": uid, "resource_version": 1, "created_at": NOON, "spec": {}}
        connection.execute(insert(OBJECTS[kind]).values({**row, "status": status}))
        connection.execute(text(_ADD), {"uid": uid, "kind": kind})


async def test_what_is_counted_is_read_from_the_statuses_that_are_there(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_to, _BEFORE)
        await connection.run_sync(_fill)
        await connection.run_sync(_to, _AFTER)
        counted = WORK_QUEUE.c.ready, WORK_QUEUE.c.expires_at, WORK_QUEUE.c.desired_at
        found = (await connection.execute(select(WORK_QUEUE.c.uid, *counted))).all()
        await connection.execute(text(_ADD), {"uid": "of the release before", "kind": "ServiceInstance"})

    assert {
        uid: (ready, expires_at and utc(expires_at), desired_at) for uid, ready, expires_at, desired_at in found
    } == {
        "i-ready": ("True", None, None),
        "i-new": (None, None, None),
        "i-odd": (None, None, None),
        "b-ends": ("True", NOON, None),
        "b-stays": ("Unknown", None, None),
        "c-broken": ("False", None, None),
    }
