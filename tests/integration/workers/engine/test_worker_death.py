"""Invariants 3 and 4: a worker dies between call and record, fails, or is stopped; its successor goes on from there."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from chandlery.contracts.messages import Reconcile
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.engine.reconciler import Planned
from chandlery.engine.resources import Resources
from chandlery.model.faults import Conflict, Unavailable
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.platform.protocol import PlatformView
from chandlery.reconcile.answers import Answer
from chandlery.reconcile.reconcile_result import ReconcileResult
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery_provisioner.facts.instance_snapshot import Cascade
from chandlery_provisioner.instance_loading import LoadedInstance
from chandlery_provisioner.instance_reconciler import InstanceReconciler, PreparedInstanceCall
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, SeenRequest
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, Process, binding, instance
from tests.support.waiting import SOON, eventually

pytestmark = pytest.mark.both_backends

CREDENTIALS = {"uri": "tcp://rope", "password": "knot"}
LEASE_SECONDS = 10.0
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE '%worker'
"""


@pytest.fixture
async def scripted(fleet: Fleet) -> AsyncIterator[ScriptedBroker]:
    """A broker whose class `db` is known to the fleet."""
    async with ScriptedBroker(credentials=CREDENTIALS) as broker:
        await fleet.offer("db", broker.url)
        yield broker


async def test_bind_of_a_binder_that_dies_with_the_answer_is_repeated_word_for_word(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    await fleet.worker("ServiceInstance")
    await fleet.create(instance("one", "db"))
    await fleet.until_ready(INSTANCE, "one")
    dying = await fleet.worker("ServiceBinding")
    answered = answers_into_the_void(scripted, osb.BIND, 201, {"credentials": CREDENTIALS}, dying)
    await fleet.create(binding("one"))
    await happens(answered)
    await dying.kill()
    assert await secret(fleet, "one") is None

    successor = await fleet.worker("ServiceBinding")
    fleet.clock.advance(LEASE_SECONDS + 1)
    await successor.sweep().once()
    await fleet.until_ready(BINDING, "one")
    assert await secret(fleet, "one") == CREDENTIALS
    first, second = scripted.seen_of(osb.BIND)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    # What is noted now is a copy of the credentials, for a Secret that goes missing, and nothing is to be repeated.
    row = await fleet.work_row(BINDING, "one")
    assert (row["due_at"], row["waiting_for"]) == (None, f"secret:{NS}/one")


async def test_provision_of_a_worker_that_dies_with_the_answer_is_repeated_word_for_word(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    dying = await fleet.worker("ServiceInstance")
    answered = answers_into_the_void(scripted, osb.PROVISION, 201, {}, dying)
    one = instance("one", "db", parameters={"size": "small"})
    await fleet.create(one)
    await happens(answered)
    await dying.kill()
    # What is asked for has changed since; what may exist was asked for with the old words.
    await fleet.change_spec(one, size="large")

    successor = await fleet.worker("ServiceInstance")
    fleet.clock.advance(LEASE_SECONDS + 1)
    await successor.sweep().once()
    await fleet.until_ready(INSTANCE, "one")
    first, second = scripted.seen_of(osb.PROVISION)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    (update,) = await scripted.wait_for(osb.UPDATE)
    assert update.body["parameters"] == {"size": "large"}


async def test_nobody_takes_over_before_the_lease_runs_out(fleet: Fleet, scripted: ScriptedBroker) -> None:
    dying = await fleet.worker("ServiceInstance")
    answered = answers_into_the_void(scripted, osb.PROVISION, 201, {}, dying)
    await fleet.create(instance("one", "db"))
    await happens(answered)
    await dying.kill()
    successor = await fleet.worker("ServiceInstance")
    handler = rounds_of(successor)
    await handler(await command(fleet, "one"))
    fleet.clock.advance(LEASE_SECONDS - 5)
    await handler(await command(fleet, "one"))
    assert len(scripted.seen_of(osb.PROVISION)) == 1
    fleet.clock.advance(6)
    await handler(await command(fleet, "one"))
    assert len(scripted.seen_of(osb.PROVISION)) == 2


async def test_worker_that_was_taken_for_dead_writes_nothing_any_more(fleet: Fleet, scripted: ScriptedBroker) -> None:
    gate = asyncio.Event()
    scripted.script(osb.PROVISION, Reply(400, {"description": "the late answer"}, gate=gate))
    late, successor = await fleet.process("worker"), await fleet.process("worker")
    await fleet.create(instance("one", "db"))
    working = asyncio.create_task(rounds_of(late)(await command(fleet, "one")))
    await scripted.wait_for(osb.PROVISION)
    fleet.clock.advance(LEASE_SECONDS + 1)
    await rounds_of(successor)(await command(fleet, "one"))
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    gate.set()
    await working
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    assert await scripted_events(fleet) == ["ProvisionedSuccessfully"]


async def test_heartbeat_keeps_the_lease_of_a_slow_call(fleet: Fleet, scripted: ScriptedBroker) -> None:
    gate = asyncio.Event()
    scripted.script(osb.PROVISION, Reply(201, gate=gate))
    # The heart beats by the real clock, every two seconds; the leases run by the clock of the fleet.
    slow = await fleet.worker("ServiceInstance", lease_seconds=6)
    slow.beat()
    rival = await fleet.process("worker", lease_seconds=6)
    await fleet.create(instance("one", "db"))
    await scripted.wait_for(osb.PROVISION)
    for _ in range(3):
        fleet.clock.advance(60)
        moment = fleet.clock()

        async def is_extended(moment: Any = moment) -> bool:
            row = await fleet.work_row(INSTANCE, "one")
            return bool(as_utc(row["lease_until"]) > moment)

        await eventually(is_extended, what="the lease to be extended")
    row = await fleet.work_row(INSTANCE, "one")
    assert row["lease_owner"] == slow.resources.owner
    assert row["fence"] == 1
    assert len(scripted.seen_of(osb.PROVISION)) == 1
    gate.set()
    await fleet.until_ready(INSTANCE, "one")
    assert not slow.resources.in_hand
    assert rival.handled == []


async def test_call_is_given_up_when_its_lease_has_run_out(fleet: Fleet, scripted: ScriptedBroker) -> None:
    scripted.script(osb.PROVISION, Reply(201, gate=asyncio.Event()))
    # Its heart does not beat, so that the lease of two seconds runs out while the broker hangs.
    process = await fleet.process("worker", lease_seconds=2.0)
    await fleet.create(instance("one", "db"))
    async with asyncio.timeout(SOON):
        await rounds_of(process)(await command(fleet, "one"))
    assert not process.resources.in_hand
    assert (await fleet.work_row(INSTANCE, "one"))["sealed"], "what was asked for may exist"
    successor = await fleet.process("worker")
    fleet.clock.advance(3)
    await rounds_of(successor)(await command(fleet, "one"))
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    first, second = scripted.seen_of(osb.PROVISION)
    assert first.raw_body == second.raw_body


async def test_call_is_not_made_by_a_process_that_was_halted_after_its_claim(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    # Its heart does not beat, and its lease would do for a claim on a busy machine.
    halted, successor = await fleet.process("worker", lease_seconds=1.0), await fleet.process("worker")
    await fleet.create(instance("one", "db"))
    async with asyncio.timeout(SOON):
        await Halting(InstanceReconciler(halted.resources), halted.resources).handle(await command(fleet, "one"))
    assert scripted.seen_of(osb.PROVISION) == []
    assert not halted.resources.in_hand
    fleet.clock.advance(2)
    await rounds_of(successor)(await command(fleet, "one"))
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    assert len(scripted.seen_of(osb.PROVISION)) == 1


async def test_heartbeat_goes_on_after_whatever_goes_wrong(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    process = await fleet.process("worker", lease_seconds=0.03)
    faults: list[Exception] = [Unavailable(), Conflict(), LookupError("a bug")]
    beats = asyncio.Semaphore(0)

    async def extend(_work: Any) -> set[str]:
        beats.release()
        if faults:
            raise faults.pop()
        return set()

    monkeypatch.setattr(process.database, "run", extend)
    process.resources.in_hand["uid"] = 0.0
    process.beat()
    async with asyncio.timeout(5):
        for _ in range(5):
            await beats.acquire()


async def test_worker_that_is_stopped_gives_back_what_it_has_not_finished(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    scripted.script(osb.PROVISION, Reply(201, gate=asyncio.Event()))
    stopping = await fleet.worker("ServiceInstance", shutdown_seconds=0.05)
    await fleet.create(instance("one", "db"))
    await scripted.wait_for(osb.PROVISION)
    successor = await fleet.worker("ServiceInstance")
    # No clock is advanced and nobody sweeps: the message itself comes back, and finds the lease free.
    await stopping.stop()
    await fleet.until_ready(INSTANCE, "one")
    first, second = scripted.seen_of(osb.PROVISION)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    assert successor.handled
    assert not stopping.resources.in_hand


async def test_worker_that_is_asked_twice_gives_back_at_once(fleet: Fleet, scripted: ScriptedBroker) -> None:
    scripted.script(osb.PROVISION, Reply(201, gate=asyncio.Event()))
    stopping = await fleet.worker("ServiceInstance", shutdown_seconds=3600.0)
    await fleet.create(instance("one", "db"))
    await scripted.wait_for(osb.PROVISION)
    assert list(stopping.resources.under_way.values()) == ["ServiceInstance ns/one at service broker db"]
    await fleet.worker("ServiceInstance")
    ending = asyncio.create_task(stopping.stop())
    await stopping.stop_asked.wait()
    stopping.resources.hurry.set()
    async with asyncio.timeout(SOON):
        await ending
    # No clock is advanced and nobody sweeps: the lease is free.
    await fleet.until_ready(INSTANCE, "one")
    first, second = scripted.seen_of(osb.PROVISION)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    assert not stopping.resources.under_way


async def test_worker_that_is_stopped_finishes_what_is_quick(fleet: Fleet, scripted: ScriptedBroker) -> None:
    gate = asyncio.Event()
    scripted.script(osb.PROVISION, Reply(201, gate=gate))
    stopping = await fleet.worker("ServiceInstance")
    await fleet.create(instance("one", "db"))
    await scripted.wait_for(osb.PROVISION)
    ending = asyncio.create_task(stopping.stop())
    await stopping.stop_asked.wait()
    gate.set()
    await ending
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    assert len(scripted.seen_of(osb.PROVISION)) == 1


@pytest.mark.parametrize("step", ["call", "absorb"])
async def test_lease_is_given_back_with_a_pause_when_a_step_raises(
    fleet: Fleet, scripted: ScriptedBroker, step: str
) -> None:
    process = await fleet.process("worker")
    clumsy = Clumsy(process.resources, step, times=1)
    handle = ReconcileLoop(clumsy, process.resources).handle
    await fleet.create(instance("one", "db"))
    before = fleet.clock()
    with pytest.raises(ZeroDivisionError):
        await handle(await command(fleet, "one"))
    row = await fleet.work_row(INSTANCE, "one")
    assert (row["lease_owner"], row["lease_until"], row["attempt"]) == (None, None, 1)
    assert as_utc(row["due_at"]) > before + timedelta(seconds=0.5)
    assert row["sealed"], "what was asked for may exist"
    assert not process.resources.in_hand
    fleet.clock.advance(5)
    await handle(await command(fleet, "one"))
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    requests = scripted.seen_of(osb.PROVISION)
    assert len({seen.raw_body for seen in requests}) == 1
    assert len(requests) == (1 if step == "call" else 2)


async def test_object_is_worked_on_again_after_its_message_is_with_the_dead_letters(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    process = await fleet.process("worker")
    clumsy: list[Clumsy] = []

    def build(resources: Resources) -> Any:
        clumsy.append(Clumsy(resources, "absorb", times=3))
        return ReconcileLoop(clumsy[0], resources).handle

    await process.relay().work({"ServiceInstance": build})
    await fleet.create(instance("one", "db"))

    async def is_given_up() -> bool:
        row = await fleet.work_row(INSTANCE, "one")
        return bool(row["attempt"]) and row["lease_owner"] is None and len(process.handled) >= 2

    await eventually(is_given_up, what="the message to fail twice")
    await fleet.ready_in_time(INSTANCE, "one", process.sweep(), seconds=31)
    assert clumsy[0].left == 0
    assert len({seen.raw_body for seen in scripted.seen_of(osb.PROVISION)}) == 1


async def test_claim_is_undone_when_the_decision_raises(fleet: Fleet, scripted: ScriptedBroker) -> None:
    process = await fleet.process("worker")
    handle = ReconcileLoop(Clumsy(process.resources, "load", times=1), process.resources).handle
    await fleet.create(instance("one", "db"))
    with pytest.raises(ZeroDivisionError):
        await handle(await command(fleet, "one"))
    row = await fleet.work_row(INSTANCE, "one")
    assert (row["lease_owner"], row["fence"], row["sealed"]) == (None, 0, None)
    await handle(await command(fleet, "one"))
    assert await fleet.ready(INSTANCE, "one") == ("True", "ProvisionedSuccessfully")
    assert len(scripted.seen_of(osb.PROVISION)) == 1


async def test_bug_with_one_object_harms_no_other_that_shares_its_transaction(
    fleet: Fleet, scripted: ScriptedBroker
) -> None:
    process = await fleet.process("worker")
    handle = ReconcileLoop(Clumsy(process.resources, "absorb", times=1000, only="bad"), process.resources).handle
    names = ["good-1", "bad", "good-2"]
    await fleet.create(*(instance(name, "db") for name in names))
    commands = [await command(fleet, name) for name in names]
    results = await asyncio.gather(*(handle(each) for each in commands), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ZeroDivisionError, type(None)]
    for name in ("good-1", "good-2"):
        assert await fleet.ready(INSTANCE, name) == ("True", "ProvisionedSuccessfully")
    assert len(scripted.seen_of(osb.PROVISION)) == 3


async def test_nothing_is_lost_when_all_database_connections_break_in_mid_call(distributed_fleet: Fleet) -> None:
    fleet = distributed_fleet
    async with ScriptedBroker() as broker:
        gate = asyncio.Event()
        broker.always(osb.PROVISION, Reply(201, gate=gate))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(*(instance(f"one-{number}", "db") for number in range(4)))
        await broker.wait_for(osb.PROVISION, 4)
        await cut_all_connections(fleet)
        gate.set()
        await fleet.until_ready(INSTANCE, *(f"one-{number}" for number in range(4)))
        assert len(broker.seen_of(osb.PROVISION)) == 4


@pytest.mark.parametrize("step", ["load", "absorb"])
async def test_nothing_is_lost_when_the_connection_breaks_within_a_transaction(
    distributed_fleet: Fleet, step: str
) -> None:
    fleet = distributed_fleet
    async with ScriptedBroker() as broker:
        await fleet.offer("db", broker.url)
        process = await fleet.process("worker")
        unlucky: list[Clumsy] = []

        def build(resources: Resources) -> Any:
            unlucky.append(Clumsy(resources, step, times=2, does=partial(cut_all_connections, fleet)))
            return ReconcileLoop(unlucky[0], resources).handle

        await process.relay().work({"ServiceInstance": build})
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        assert unlucky[0].left == 0
        assert len(broker.seen_of(osb.PROVISION)) == 1


class Halting(ReconcileLoop[Any, Any, Any, Any]):
    """Stands still between the commit of its claim and the call, for longer than its lease of a second."""

    async def _claim_batch(self, commands: Any) -> Any:
        claimed = await super()._claim_batch(commands)
        time.sleep(1.1)  # noqa: ASYNC251 - as SIGSTOP does, which halts everything
        return claimed


class Clumsy(InstanceReconciler):
    """Fails at one step, some times; or does something else there."""

    def __init__(
        self,
        resources: Resources,
        step: str,
        *,
        times: int,
        only: str = "",
        does: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(resources)
        self.left = times
        self._step = step
        self._only = only
        self._does = does

    async def load(
        self, unit: UnitOfWork, document: ServiceInstance, claim: Any, platform: PlatformView
    ) -> LoadedInstance:
        await self._stumble("load", document.metadata.name)
        return await super().load(unit, document, claim, platform)

    async def call(self, snapshot: LoadedInstance, planned: Planned[PreparedInstanceCall | Cascade]) -> Answer | None:
        await self._stumble("call", snapshot.snapshot.instance.metadata.name)
        return await super().call(snapshot, planned)

    async def absorb(
        self,
        unit: UnitOfWork,
        snapshot: LoadedInstance,
        planned: Planned[PreparedInstanceCall | Cascade],
        answer: Answer | None,
        *,
        undelivered: None,
    ) -> ReconcileResult[ServiceInstance]:
        await self._stumble("absorb", snapshot.snapshot.instance.metadata.name)
        return await super().absorb(unit, snapshot, planned, answer, undelivered=undelivered)

    async def _stumble(self, step: str, name: str) -> None:
        if step != self._step or not self.left or (self._only and name != self._only):
            return
        self.left -= 1
        if self._does is None:
            raise ZeroDivisionError
        await self._does()


def answers_into_the_void(
    broker: ScriptedBroker, template: str, status: int, body: dict[str, Any], process: Process
) -> asyncio.Event:
    """The broker does as asked, and when its answer arrives the process can write nothing any more."""
    happened = asyncio.Event()

    def reply(_seen: SeenRequest) -> Reply:
        process.database.is_dead = True
        happened.set()
        return Reply(status, body)

    broker.script(template, reply)
    return happened


async def happens(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()


async def command(fleet: Fleet, name: str) -> Reconcile:
    uid = (await fleet.find(INSTANCE, name)).metadata.uid
    return Reconcile(kind="ServiceInstance", uid=uid, lane="broker:/db")


def rounds_of(process: Process) -> Any:
    return ReconcileLoop(InstanceReconciler(process.resources), process.resources).handle


async def secret(fleet: Fleet, name: str) -> dict[str, str] | None:
    """The decoded Secret."""
    found = await fleet.find(SECRET, name)
    return {key: base64.b64decode(value).decode() for key, value in found.data.items()} if found else None


async def scripted_events(fleet: Fleet) -> list[str]:
    events = await fleet.front.database.run(lambda unit: unit.objects.list(kinds.EVENT, Listing()))
    return [getattr(event, "reason", "") for event in events]


def as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def cut_all_connections(fleet: Fleet) -> None:
    """End every session that workers have with this database, as a failover does."""
    engine = open_engine(fleet.database_url, application_name="test-cutter")
    async with engine.connect() as connection:
        ended = (await connection.execute(text(_END_SESSIONS))).all()
    await engine.dispose()
    assert ended
