"""How many statements the database is asked for a batch: as many for 32 objects as for eight, and hardly fewer for one.

Each step is taken by all objects in the same turn of the loop, and what they are is told by the objects themselves.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery_binder.binding_reconciler import BindingReconciler
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import BINDING, INSTANCE, SECRET, Fleet, Process, binding, instance
from tests.support.measured.statements import Statements, counted_statements

RECONCILERS: Final[dict[str, Any]] = {INSTANCE.kind: InstanceReconciler, BINDING.kind: BindingReconciler}
COUNTS: Final = (1, 8, 32)
LOOKED_AT_BEFORE_WRITTEN: Final = 1
"""In each transaction one object alone is spared this: its own statement tells whether it is still as it was read."""


class AnsweredTogether:
    """A reconciler that has no answer before all of a batch have theirs."""

    def __init__(self, inner: Any, count: int) -> None:
        self._inner = inner
        self._all_answered = asyncio.Barrier(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def call(self, *given: Any) -> Any:
        answer = await self._inner.call(*given)
        await self._all_answered.wait()
        return answer


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        yield broker


async def _rounds(fleet: Fleet, process: Process, *documents: AnyObject) -> Statements:
    """One round of each: claimed, called and recorded together."""
    kind = kind_of(documents[0])
    rows = [await fleet.work_row(kind, document.metadata.name) for document in documents]
    commands = [Reconcile(kind=kind.kind, uid=row["uid"], lane=row["lane"]) for row in rows]
    reconciler: Any = AnsweredTogether(RECONCILERS[kind.kind](process.resources), len(documents))
    loop = ReconcileLoop(reconciler, process.resources)
    with counted_statements(process.engine) as counted:
        await asyncio.gather(*(loop.handle(command) for command in commands))
    return counted


async def _created(fleet: Fleet, gateway: Process, *documents: AnyObject) -> Statements:
    with counted_statements(gateway.engine) as counted:
        await fleet.create_together(*documents, through=gateway)
    return counted


async def _deleted(fleet: Fleet, gateway: Process, *documents: AnyObject) -> Statements:
    with counted_statements(gateway.engine) as counted:
        await fleet.delete_together(*documents, through=gateway)
    return counted


async def _changed(fleet: Fleet, gateway: Process, *documents: AnyObject) -> Statements:
    with counted_statements(gateway.engine) as counted:
        await fleet.annotate_together(*documents, through=gateway)
    return counted


async def _life(fleet: Fleet, gateway: Process, process: Process, count: int) -> dict[str, Statements]:
    """What is asked for so many instances with a binding each, from their creation to their end."""
    names = [f"of-{count}-{number}" for number in range(count)]
    instances, bindings = [instance(name, "db") for name in names], [binding(name) for name in names]
    counted = {}
    for called, documents in (("instances", instances), ("bindings", bindings)):
        counted[f"create {called}"] = await _created(fleet, gateway, *documents)
        counted[f"bring {called} to Ready"] = await _rounds(fleet, process, *documents)
        for name in names:
            assert (await fleet.ready(kind_of(documents[0]), name) or "")[0] == "True"
        counted[f"change {called}"] = await _changed(fleet, gateway, *documents)
    assert len([row for row in await fleet.rows(SECRET.plural) if row["name"] in names]) == count
    for called, documents in (("bindings", bindings), ("instances", instances)):
        counted[f"delete {called}"] = await _deleted(fleet, gateway, *documents)
        counted[f"take {called} away"] = await _rounds(fleet, process, *documents)
        for name in names:
            assert await fleet.find(kind_of(documents[0]), name) is None
    return counted


async def test_a_batch_asks_the_database_as_often_for_many_objects_as_for_few(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    await fleet.offer("db", broker.url)
    # Neither has a relay, which would take messages away at a moment of its own.
    gateway, process = await fleet.process("gateway"), await fleet.process("worker")

    one, some, many = [await _life(fleet, gateway, process, count) for count in COUNTS]

    for step, of_many in many.items():
        assert of_many.by_text() == some[step].by_text(), step
        assert (of_many.transactions, of_many.round_trips) == (some[step].transactions, some[step].round_trips), step
        assert one[step].transactions == of_many.transactions, step
        most_spared = LOOKED_AT_BEFORE_WRITTEN * of_many.transactions
        assert 0 <= of_many.round_trips - one[step].round_trips <= most_spared, step
