"""One of a batch that cannot be recorded: the others are, and nobody asks a service broker twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy import update

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.schema import WORK_QUEUE
from chandlery_binder.binding_reconciler import BindingReconciler
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import BIND
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, Process, binding, instance
from tests.support.measured.statements import Statements, counted_statements

Meanwhile = Callable[[], Awaitable[None]]
COUNT: Final = 8
TOO_LARGE: Final = {"credentials": {"password": "x" * (1 << 20)}}


async def _nothing() -> None:
    """Nobody interferes."""


class AnsweredTogether:
    """Something happens when all of a batch have their answers, or when what is made of them is about to be written."""

    def __init__(
        self, inner: Any, count: int, *, when_answered: Meanwhile = _nothing, when_absorbed: Meanwhile = _nothing
    ) -> None:
        self._inner = inner
        self._all_answered = asyncio.Barrier(count)
        self._has_happened = asyncio.Event()
        self._when_answered = when_answered
        self._when_absorbed = when_absorbed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def call(self, *given: Any) -> Any:
        answer = await self._inner.call(*given)
        if self._has_happened.is_set():
            return answer
        if not await self._all_answered.wait():
            await self._when_answered()
            self._has_happened.set()
        await self._has_happened.wait()
        return answer

    async def absorb(self, *given: Any, **named: Any) -> Any:
        change = await self._inner.absorb(*given, **named)
        meanwhile, self._when_absorbed = self._when_absorbed, _nothing
        await meanwhile()
        return change


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        yield broker


def _named(name: str, **spec: Any) -> ServiceBinding:
    made = binding(name)
    return made.model_copy(update={"spec": made.spec.model_copy(update=spec)})


async def _worker(fleet: Fleet, broker: ScriptedBroker, names: list[str]) -> Process:
    """A process, and instances of these names that are ready."""
    await fleet.offer("db", broker.url)
    process = await fleet.process("worker")
    await fleet.create_together(*(instance(name, "db") for name in names))
    await _rounds(fleet, process, InstanceReconciler(process.resources), INSTANCE, names)
    return process


async def _rounds(fleet: Fleet, process: Process, reconciler: Any, kind: Any, names: list[str]) -> Statements:
    rows = [await fleet.work_row(kind, name) for name in names]
    commands = [Reconcile(kind=kind.kind, uid=row["uid"], lane=row["lane"]) for row in rows]
    loop: Any = ReconcileLoop(reconciler, process.resources)
    with counted_statements(process.engine) as counted:
        raised = await asyncio.gather(*(loop.handle(command) for command in commands), return_exceptions=True)
    assert [each for each in raised if each] == []
    return counted


async def _is_ready(fleet: Fleet, name: str) -> bool:
    return (await fleet.ready(BINDING, name) or ("", ""))[0] == "True"


async def test_a_secret_that_somebody_makes_at_the_same_moment_is_seen_by_the_next_look(
    distributed_fleet: Fleet, broker: ScriptedBroker
) -> None:
    fleet, process = distributed_fleet, await _worker(distributed_fleet, broker, ["one"])
    await fleet.create(binding("one"))

    async def taken() -> None:
        await fleet.create(Secret(metadata=ObjectMeta(name="one", namespace=NS)))

    reconciler = AnsweredTogether(BindingReconciler(process.resources), 1, when_absorbed=taken)
    await _rounds(fleet, process, reconciler, BINDING, ["one"])

    row = await fleet.work_row(BINDING, "one")
    assert not await _is_ready(fleet, "one")
    assert (row["lease_owner"], row["waiting_for"]) == (None, f"secret:{NS}/one")
    assert len(broker.seen_of(BIND)) == 1


async def test_of_two_bindings_of_a_batch_that_name_one_secret_one_waits_for_it(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    names = ["one", "two", "three"]
    process = await _worker(fleet, broker, names)
    await fleet.create_together(_named("one", secret_name="same"), _named("two", secret_name="same"), _named("three"))

    counted = await _rounds(
        fleet, process, AnsweredTogether(BindingReconciler(process.resources), len(names)), BINDING, names
    )

    ready = {name: await _is_ready(fleet, name) for name in names}
    rows = {name: await fleet.work_row(BINDING, name) for name in names}
    assert ready["three"]
    assert sorted((ready["one"], ready["two"])) == [False, True]
    assert {rows[name]["waiting_for"] for name in names if not ready[name]} == {f"secret:{NS}/same"}
    assert len(broker.seen_of(BIND)) == len(names)
    # One to claim, one to record: nothing was tried in vain.
    assert counted.transactions == 2


async def test_who_has_nothing_to_deliver_looks_at_no_secret(fleet: Fleet, broker: ScriptedBroker) -> None:
    process = await _worker(fleet, broker, ["one"])
    await fleet.create(Secret(metadata=ObjectMeta(name="one", namespace=NS)))
    await fleet.create(binding("one"))
    broker.script(BIND, Reply(400))

    reconciler = AnsweredTogether(BindingReconciler(process.resources), 1)
    counted = await _rounds(fleet, process, reconciler, BINDING, ["one"])

    assert len(broker.seen_of(BIND)) == 1
    assert [each for each in counted.texts if f"FROM {SECRET.plural}" in each.replace("\n", "")] == []


async def test_one_of_a_batch_that_cannot_be_recorded_keeps_none_of_the_others_from_it(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    names = [f"b{number}" for number in range(COUNT)]
    lost, changed, foreign, taken, large = names[:5]
    process = await _worker(fleet, broker, names)
    await fleet.create(Secret(metadata=ObjectMeta(name=foreign, namespace=NS)))
    await fleet.create_together(*(binding(name) for name in names))
    found = await fleet.find(BINDING, large)
    broker.script(BIND, Reply(201, TOO_LARGE), only=found.spec.external_id)
    lost_uid = (await fleet.find(BINDING, lost)).metadata.uid

    async def interfere() -> None:
        async with fleet.front.engine.begin() as connection:
            row = update(WORK_QUEUE).where(WORK_QUEUE.c.uid == lost_uid)
            await connection.execute(row.values(fence=WORK_QUEUE.c.fence + 1, lease_owner="another"))
        await fleet.create(Secret(metadata=ObjectMeta(name=taken, namespace=NS)))

        def labelled(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
            metadata = old.metadata.model_copy(update={"labels": {"team": "a"}})
            return old.model_copy(update={"metadata": metadata}), ()

        await fleet.change(binding(changed), labelled)

    reconciler = AnsweredTogether(BindingReconciler(process.resources), COUNT, when_answered=interfere)
    await _rounds(fleet, process, reconciler, BINDING, names)

    assert {name for name in names if await _is_ready(fleet, name)} == set(names) - {lost, foreign, taken, large}
    assert (await fleet.find(BINDING, changed)).metadata.labels == {"team": "a"}
    assert sorted(each.ids["binding_id"] for each in broker.seen_of(BIND)) == sorted(
        [(await fleet.find(BINDING, name)).spec.external_id for name in names]
    )
    rows = {name: await fleet.work_row(BINDING, name) for name in names}
    assert {name for name in names if rows[name]["lease_owner"] is not None} == {lost}
