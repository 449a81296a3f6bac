"""Steps on the work table: each in a transaction of its own, as workers take them."""

from datetime import datetime, timedelta

from chandlery.contracts.messages import Reconcile
from chandlery.model.objects.wire import JsonObject
from chandlery.store.database import Database
from chandlery.store.work.work_claims import Claim, Release

KIND = "ServiceInstance"
LANE = "lane-1"
LEASE = timedelta(seconds=30)


async def add(database: Database, uid: str = "uid", *, lane: str = LANE) -> Reconcile:
    return await database.run(lambda unit: unit.work_queue.add(KIND, uid, lane=lane))


async def claim(database: Database, uid: str = "uid", *, owner: str = "me") -> Claim | None:
    return await database.run(lambda unit: unit.work_queue.claim(uid, owner=owner, lease=LEASE))


async def claim_surely(database: Database, uid: str = "uid", *, owner: str = "me") -> Claim:
    held = await claim(database, uid, owner=owner)
    assert held is not None
    return held


async def release(
    database: Database,
    held: Claim,
    *,
    due_at: datetime | None = None,
    waiting_for: str | None = None,
    attempt: int = 0,
    sealed: JsonObject | None = None,
) -> Reconcile | None:
    left = Release(
        due_at=due_at, attempt=attempt, lane=LANE, waiting_for=waiting_for, sealed=sealed, memory={"left": "note"}
    )
    return await database.run(lambda unit: unit.work_queue.release(held, left))


async def extend(database: Database, *uids: str, owner: str = "me") -> set[str]:
    return await database.run(lambda unit: unit.work_queue.extend(uids, owner=owner, lease=LEASE))


async def touch(database: Database, uid: str = "uid") -> Reconcile | None:
    return await database.run(lambda unit: unit.work_queue.enqueue_changed(uid))


async def wake(database: Database, *keys: str) -> list[str]:
    """The uids that were woken."""
    commands = await database.run(lambda unit: unit.wakes.enqueue_waiting(*keys))
    return sorted(command.uid for command in commands)


async def due(database: Database, *, limit: int = 100) -> list[str]:
    """The uids that a sweep puts on the bus."""
    commands = await database.run(lambda unit: unit.work_queue.due(limit=limit))
    return sorted(command.uid for command in commands)
