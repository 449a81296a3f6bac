"""A poll that is answered as the one before: many share their statements, and nothing but rows of work is written."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import pytest

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.reminded_rounds import TOGETHER
from chandlery.messaging.handler_slots import HandlerSlots
from chandlery.store.rows import utc
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import POLL_INSTANCE, PROVISION
from tests.integration.workers.batches.test_statements_of_batches import AnsweredTogether
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, instance
from tests.support.measured.statements import Statements, counted_statements
from tests.support.waiting import eventually

_LEFT_ALONE: Final = ("serviceinstances", "changes", "events", "operations", "outbox", "audit_events")
_PAUSE_SECONDS: Final = 60


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        broker.always(PROVISION, Reply(202, {"operation": "op"}))
        in_progress = {"state": "in progress", "description": "half of it"}
        broker.always(POLL_INSTANCE, Reply(200, in_progress, headers={"Retry-After": "10"}))
        yield broker


async def _reminded(process: Process, rows: list[dict[str, Any]]) -> Statements:
    """One round of each, begun as by the timers of this process, and answered together."""
    reconciler: Any = AnsweredTogether(InstanceReconciler(process.resources), len(rows))
    with counted_statements(process.engine) as counted:
        await _begun_beside(ReconcileLoop(reconciler, process.resources), rows)
    return counted


async def _begun_beside(loop: ReconcileLoop[Any, Any, Any, Any], rows: list[dict[str, Any]]) -> None:
    slots: HandlerSlots[Any] = HandlerSlots(lambda _: asyncio.sleep(0), limit=TOGETHER)
    for command in map(_command, rows):
        slots.run_beside(partial(loop.handle, command))
    await slots.settle()


def _command(row: dict[str, Any]) -> Reconcile:
    return Reconcile(kind=INSTANCE.kind, uid=row["uid"], lane=row["lane"])


async def _pending(fleet: Fleet, names: list[str]) -> list[dict[str, Any]]:
    uids = {(await fleet.find(INSTANCE, name)).metadata.uid for name in names}
    return [row for row in await fleet.rows("work_queue") if row["uid"] in uids]


async def _polled(fleet: Fleet, gateway: Process, process: Process, count: int) -> Statements:
    """What so many polls ask for of which the one before has been answered likewise."""
    names = [f"of-{count}-{number}" for number in range(count)]
    await fleet.create_together(*(instance(name, "db") for name in names), through=gateway)
    for _ in ("provisioned", "polled the first time"):
        await _reminded(process, await _pending(fleet, names))
        fleet.clock.advance(_PAUSE_SECONDS)
    before, rows = {table: await fleet.rows(table) for table in _LEFT_ALONE}, await _pending(fleet, names)
    counted = await _reminded(process, rows)
    assert {table: await fleet.rows(table) for table in _LEFT_ALONE} == before
    after = await _pending(fleet, names)
    assert Counter(row["lease_owner"] for row in after) == {None: count}
    assert [row["memory"]["polls"] for row in after] == [row["memory"]["polls"] + 1 for row in rows]
    assert all(row["due_at"] > was["due_at"] for was, row in zip(rows, after, strict=True))
    return counted


async def test_many_polls_ask_as_often_as_few_and_write_nothing_but_their_rows_of_work(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    await fleet.offer("db", broker.url)
    # Neither has a relay, which would take messages away at a moment of its own.
    gateway, process = await fleet.process("gateway"), await fleet.process("worker")

    one, some, many = [await _polled(fleet, gateway, process, count) for count in (1, 8, 100)]

    assert many.transactions == some.transactions == one.transactions == 2
    assert many.by_text() == some.by_text() == one.by_text()
    written = [text for text in many.texts if not text.startswith("SELECT")]
    assert all("UPDATE work_queue" in text for text in written), written
    assert len(written) == 2


async def test_what_one_process_takes_up_and_others_are_sent_meanwhile_is_polled_once(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    await fleet.offer("db", broker.url)
    processes = [await fleet.process(f"worker-{number}") for number in range(3)]
    names = [f"shared-{number}" for number in range(40)]
    await fleet.create_together(*(instance(name, "db") for name in names), through=processes[0])
    await _reminded(processes[0], await _pending(fleet, names))
    fleet.clock.advance(_PAUSE_SECONDS)
    rows = await _pending(fleet, names)

    loops = [
        ReconcileLoop[Any, Any, Any, Any](InstanceReconciler(each.resources), each.resources) for each in processes
    ]
    sent = [loops[2].handle(_command(row)) for row in rows]
    await asyncio.gather(_begun_beside(loops[0], rows), _begun_beside(loops[1], rows), *sent)

    polled = Counter(seen.ids["instance_id"] for seen in broker.seen if seen.template == POLL_INSTANCE)
    assert polled == {row["external_id"]: 1 for row in await fleet.rows("serviceinstances") if row["name"] in names}


class _Halting:
    """Calls that are halted before they leave."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.calling = 0
        self.may_leave = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def call(self, *given: Any) -> Any:
        self.calling += 1
        await self.may_leave.wait()
        return await self._inner.call(*given)


async def test_what_waits_for_a_slot_when_its_lane_is_closed_calls_nobody_and_is_free_and_due_for_others(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    await fleet.offer("db", broker.url)
    process = await fleet.process("worker")
    names = ["one", "two", "three"]
    await fleet.create_together(*(instance(name, "db") for name in names))
    reconciler: Any = _Halting(InstanceReconciler(process.resources))
    loop = ReconcileLoop[Any, Any, Any, Any](reconciler, process.resources)
    slots: HandlerSlots[Any] = HandlerSlots(lambda _: asyncio.sleep(0), limit=1)
    for row in await _pending(fleet, names):
        slots.run_beside(partial(loop.handle, _command(row)))
    await eventually(
        lambda: reconciler.calling == 1 and len(process.resources.in_hand) == len(names), what="one to call"
    )

    slots.stop()
    reconciler.may_leave.set()
    await slots.settle()

    called = [seen.ids["instance_id"] for seen in broker.seen_of(PROVISION)]
    assert len(called) == 1
    of = {row["external_id"]: row["uid"] for row in await fleet.rows("serviceinstances")}
    rows = await _pending(fleet, names)
    assert {row["lease_owner"] for row in rows} == {None}
    now = fleet.clock()
    due = [row for row in rows if max(utc(row["due_at"]), utc(row["enqueue_after"])) <= now]
    assert {row["uid"] for row in due} == {row["uid"] for row in rows} - {of[called[0]]}
