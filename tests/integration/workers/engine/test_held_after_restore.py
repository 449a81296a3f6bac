"""A restored database: workers touch no instance and no binding until the operator says so, and then all that waits."""

from functools import partial
from typing import Any

import pytest

from chandlery.process.commands.reconciling.hold_commands import released
from chandlery.store.database import UnitOfWork
from chandlery.store.rows import utc
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, broker, instance
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_backends


async def test_held_work_is_not_taken_up_until_it_is_released_and_then_at_once(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await fleet.front.database.run(lambda unit: unit.restored.hold.begin())
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await eventually(partial(_is_handled, fleet), what="the command to be handled")
        for _ in range(3):
            fleet.clock.advance(700)
            await worker.sweep().once()
        assert osb_broker.seen == []
        row = await _row(fleet)
        assert row["lease_owner"] is None
        assert row["attempt"] == 0

        assert await released(fleet.front.database) == 1
        # Commands for what nobody gets to come ever more rarely; not for this.
        await worker.sweep().once()
        await fleet.until_ready(INSTANCE, "one")


async def test_catalogs_are_fetched_while_work_is_held(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.front.database.run(lambda unit: unit.restored.hold.begin())
        await fleet.worker("ClusterServiceBroker")
        await fleet.create(broker("db", osb_broker.url))
        await eventually(lambda: osb_broker.seen, what="the catalog to be fetched")


async def test_the_moment_of_the_first_restore_stays(fleet: Fleet) -> None:
    async def begin(unit: UnitOfWork) -> str | None:
        await unit.restored.hold.begin()
        return await unit.restored.hold.since()

    first = await fleet.front.database.run(begin)
    fleet.clock.advance(3600)
    assert await fleet.front.database.run(begin) == first
    await fleet.front.database.run(lambda unit: unit.restored.go_on())
    assert await fleet.front.database.run(lambda unit: unit.restored.hold.since()) is None


async def test_what_is_due_is_woken_page_by_page(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await fleet.front.database.run(lambda unit: unit.restored.hold.begin())
        for number in range(5):
            await fleet.create(instance(f"i-{number}", "db"))
        pages: list[int] = []
        after: str | None = ""
        while after is not None:
            woken, after = await fleet.front.database.run(partial(_wake_two, after=after))
            pages.append(woken)
        assert pages == [2, 2, 1]
        now = fleet.clock()
        rows = [row for row in await fleet.rows("work_queue") if row["kind"] == "ServiceInstance"]
        assert len(rows) == 5
        assert all(utc(row["enqueue_after"]) <= now for row in rows)


async def test_a_release_that_was_broken_off_is_finished_by_the_next(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await fleet.front.database.run(lambda unit: unit.restored.hold.begin())
        await fleet.create(instance("one", "db"))
        await fleet.front.database.run(lambda unit: unit.restored.go_on())
        assert utc((await _row(fleet))["enqueue_after"]) > fleet.clock()
        assert await released(fleet.front.database) is None
        assert utc((await _row(fleet))["enqueue_after"]) <= fleet.clock()


async def _wake_two(unit: UnitOfWork, *, after: str) -> tuple[int, str | None]:
    return await unit.restored.hold.wake(after=after, limit=2)


async def _row(fleet: Fleet) -> dict[str, Any]:
    (row,) = [dict(row) for row in await fleet.rows("work_queue") if row["kind"] == "ServiceInstance"]
    return row


async def _is_handled(fleet: Fleet) -> bool:
    return not await fleet.rows("outbox")
