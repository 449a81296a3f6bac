"""The operation history that workers write: what, why, how often, what the service broker said. On both backends."""

import asyncio
from datetime import timedelta
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, format_trace_id, use_span
from sqlalchemy import event

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, instance
from tests.support.waiting import eventually

NO_ROOM = {"description": "no room at the inn"}


async def told(fleet: Fleet) -> list[dict[str, Any]]:
    """All operations, the oldest first."""
    return sorted(await fleet.rows("operations"), key=lambda row: str(row["name"]))


def shown(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


async def test_a_provision_whose_first_try_fails_is_one_operation_beside_its_mitigation(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(503, NO_ROOM))
        await fleet.offer("db", broker.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await fleet.ready_in_time(INSTANCE, "one", worker.sweep(), seconds=5)
        uid = (await fleet.find(INSTANCE, "one")).metadata.uid
        await fleet.delete(await fleet.find(INSTANCE, "one"))
        await fleet.until_gone(INSTANCE, "one")
    rows = await told(fleet)
    assert shown(rows, "operation", "reason", "attempts", "outcome", "broker_status") == [
        ("Provision", "Created", 2, "Succeeded", 201),
        ("OrphanMitigation", "CreationFailed", 1, "Succeeded", 200),
        ("Deprovision", "Deleted", 1, "Succeeded", 200),
    ]
    provision, mitigation, _ = rows
    assert (provision["failure_status"], provision["failure"]) == (503, "no room at the inn")
    assert provision["message"] == ""
    assert provision["ended_at"] - provision["started_at"] >= timedelta(seconds=1)
    assert provision["started_at"] < mitigation["started_at"] < provision["ended_at"]
    assert {row["object_uid"] for row in rows} == {uid}
    assert shown(rows, "object_name", "instance_name", "broker") == [("one", "one", "db")] * 3
    assert len({row["external_id"] for row in rows}) == 1


async def test_a_call_that_takes_its_time_is_shown_while_it_is_under_way(fleet: Fleet) -> None:
    may_answer = asyncio.Event()
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(201, {}, gate=may_answer))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("slow", "db"))
        [going] = await eventually(lambda: told(fleet), bool, what="the provision to be told")
        assert (going["outcome"], going["attempts"], going["broker_status"]) == ("InProgress", 1, None)
        assert going["ended_at"] is None
        may_answer.set()
        await fleet.until_ready(INSTANCE, "slow")
    [ended] = await told(fleet)
    assert (ended["name"], ended["outcome"], ended["broker_status"]) == (going["name"], "Succeeded", 201)


async def test_a_worker_that_dies_in_the_middle_leaves_one_operation(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        broker.script(osb.PROVISION, Reply(201, {}, gate=asyncio.Event()))
        await fleet.offer("db", broker.url)
        first = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await eventually(lambda: told(fleet), bool, what="the provision to be told")
        await first.kill()
        second = await fleet.worker("ServiceInstance")
        # Until the lease of the dead one is over.
        fleet.clock.advance(60)
        await second.sweep().once()
        await fleet.until_ready(INSTANCE, "one")
    assert shown(await told(fleet), "operation", "attempts", "outcome") == [("Provision", 1, "Succeeded")]


async def test_operations_that_end_together_are_told_in_one_statement(fleet: Fleet) -> None:
    names, may_answer = [f"db-{number}" for number in range(4)], asyncio.Event()
    told_by: dict[Any, int] = {}
    most = 0

    def note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal most
        told_by[connection] = told_by.get(connection, 0) + statement.startswith("INSERT INTO operations")
        most = max(most, told_by[connection])

    def end(connection: Any) -> None:
        told_by.pop(connection, None)

    async with ScriptedBroker() as broker:
        broker.always(osb.PROVISION, Reply(201, {}, gate=may_answer))
        await fleet.offer("db", broker.url)
        engine = (await fleet.worker("ServiceInstance")).engine.sync_engine
        await fleet.create(*(instance(name, "db") for name in names))
        await broker.wait_for(osb.PROVISION, len(names))
        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "commit", end)
        may_answer.set()
        await fleet.until_ready(INSTANCE, *names)
    assert most == 1
    assert shown(await told(fleet), "attempts", "outcome") == [(1, "Succeeded")] * len(names)


async def test_the_trace_in_which_it_began_is_told_by_operation_and_event(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance")
        asked = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_remote=True)
        with use_span(NonRecordingSpan(asked)):
            await fleet.create(instance("traced", "db"))
        await fleet.until_ready(INSTANCE, "traced")
    wanted = format_trace_id(asked.trace_id)
    assert shown(await told(fleet), "trace_id") == [(wanted,)]
    events = [row["annotations"] for row in await fleet.rows("events")]
    assert {"chandlery.io/trace-id": wanted} in events
