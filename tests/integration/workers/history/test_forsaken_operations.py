"""Operations of the history whose end nobody would see: each is closed, and says so. On both backends."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, update

from chandlery.engine.upkeep.retention import Retention
from chandlery.model.objects.kinds import AnyObject
from chandlery.settings.settings import Settings
from chandlery.store.schema import WORK_QUEUE
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, instance
from tests.support.waiting import eventually

HELD = "example.com/held"
NO_ROOM = {"description": "no room at the inn"}
TRIED = Reply(429, NO_ROOM)
GOING = [("Provision", 1, "InProgress")]


def without_ours(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
    """As `kubectl patch` does to get rid of what does not go."""
    left = [each for each in old.metadata.finalizers or [] if each == HELD]
    return old.model_copy(update={"metadata": old.metadata.model_copy(update={"finalizers": left or None})}), ()


def held(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
    """Somebody else has to agree, too, when the object goes."""
    finalizers = [*(old.metadata.finalizers or []), HELD]
    return old.model_copy(update={"metadata": old.metadata.model_copy(update={"finalizers": finalizers})}), ()


async def told(fleet: Fleet) -> list[tuple[Any, ...]]:
    rows = sorted(await fleet.rows("operations"), key=lambda row: str(row["name"]))
    assert all((row["ended_at"] is None) == (row["outcome"] == "InProgress") for row in rows)
    return [tuple(row[column] for column in ("operation", "attempts", "outcome")) for row in rows]


async def until_told(fleet: Fleet, *wanted: tuple[Any, ...]) -> None:
    await eventually(lambda: told(fleet), lambda rows: rows == list(wanted), what=f"the history to be {wanted}")


async def begin(fleet: Fleet, broker: ScriptedBroker) -> Process:
    """Provision an instance, until the history tells of it. Returns the process that does."""
    await fleet.offer("db", broker.url)
    worker = await fleet.worker("ServiceInstance")
    await fleet.create(instance("one", "db"))
    await until_told(fleet, *GOING)
    return worker


async def take_away(fleet: Fleet, name: str) -> None:
    """Delete the instance and remove its finalizer by hand."""
    await fleet.delete(await fleet.find(INSTANCE, name))
    await fleet.change(await fleet.find(INSTANCE, name), without_ours)


@pytest.mark.parametrize("answer", [Reply(202, {}), TRIED], ids=["polled", "tried again"])
async def test_an_operation_is_closed_when_its_object_goes_without_a_round(fleet: Fleet, answer: Reply) -> None:
    async with ScriptedBroker() as broker:
        broker.always(osb.PROVISION, answer)
        worker = await begin(fleet, broker)
        await worker.stop()
        await take_away(fleet, "one")
    assert await fleet.find(INSTANCE, "one") is None
    assert "ServiceInstance" not in {row["kind"] for row in await fleet.rows("work_queue")}
    assert await told(fleet) == [("Provision", 1, "Unknown")]


@pytest.mark.parametrize(
    ("answer", "outcome"), [(Reply(201, {}), "Succeeded"), (Reply(202, {}), "Unknown")], ids=["done", "accepted"]
)
async def test_what_a_broker_answers_is_told_although_its_object_has_gone(
    fleet: Fleet, answer: Reply, outcome: str
) -> None:
    may_answer = asyncio.Event()
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(answer.status, answer.body, gate=may_answer))
        await begin(fleet, broker)
        await take_away(fleet, "one")
        assert await told(fleet) == [("Provision", 1, "Unknown")]
        may_answer.set()

        async def is_answered() -> bool:
            [row] = await fleet.rows("operations")
            return bool(row["broker_status"] == answer.status)

        await eventually(is_answered, what="the answer to be told")
    assert await told(fleet) == [("Provision", 1, outcome)]


async def test_an_operation_is_closed_when_the_finalizer_goes_and_the_object_stays(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.always(osb.PROVISION, TRIED)
        worker = await begin(fleet, broker)
        await worker.stop()
        await fleet.change(await fleet.find(INSTANCE, "one"), held)
        await take_away(fleet, "one")
        other = await fleet.worker("ServiceInstance")
        fleet.clock.advance(60)
        await other.sweep().once()
        await until_told(fleet, ("Provision", 1, "Unknown"))
    assert (await fleet.find(INSTANCE, "one")).metadata.finalizers == [HELD]


async def test_an_operation_goes_on_as_the_same_when_the_note_of_its_request_is_lost(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(201, {}, gate=asyncio.Event()))
        first = await begin(fleet, broker)
        await first.kill()
        async with fleet.front.engine.begin() as connection:
            await connection.execute(
                update(WORK_QUEUE).where(WORK_QUEUE.c.sealed.is_not(None)).values(sealed="nonsense")
            )
        second = await fleet.worker("ServiceInstance")
        fleet.clock.advance(60)
        await second.sweep().once()
        await fleet.until_ready(INSTANCE, "one")
    assert "InProgress" not in {outcome for _, _, outcome in await told(fleet)}
    assert [each for each in await told(fleet) if each[0] == "Provision"] == [("Provision", 1, "Succeeded")]


async def test_what_no_row_of_work_knows_of_is_closed_by_the_sweep_and_nothing_else(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.always(osb.PROVISION, TRIED)
        await fleet.offer("db", broker.url)
        worker = await fleet.worker("ServiceInstance")
        names = ("gone", "forgotten", "going", "held")
        await fleet.create(*(instance(name, "db") for name in names))
        await until_told(fleet, *GOING * len(names))
        await worker.stop()
    uids = {name: (await fleet.find(INSTANCE, name)).metadata.uid for name in names}
    of, later = WORK_QUEUE.c.uid, fleet.clock()
    fleet.clock.advance(-3600)
    lease = {"open_operations": None, "lease_owner": "somebody", "lease_until": later}
    async with fleet.front.engine.begin() as connection:
        await connection.execute(delete(WORK_QUEUE).where(of == uids["gone"]))
        await connection.execute(update(WORK_QUEUE).where(of == uids["forgotten"]).values(open_operations=None))
        await connection.execute(update(WORK_QUEUE).where(of == uids["held"]).values(lease))
    await Retention(fleet.front.database, Settings(operation_history_days=10)).prune()
    found = {row["object_name"]: row["outcome"] for row in await fleet.rows("operations")}
    assert found == {"gone": "Unknown", "forgotten": "Unknown", "going": "InProgress", "held": "InProgress"}
