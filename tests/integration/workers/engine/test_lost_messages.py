"""What was committed is acted on, whoever died before the bus knew of it: relay, sweep, and who may sweep."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from chandlery.contracts.messages import Message, Reconcile, decode
from chandlery.model.faults import Conflict, Unavailable
from chandlery.store.database import UnitOfWork
from chandlery.store.schema import CHANGES, OUTBOX
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, broker, ended, instance
from tests.support.waiting import SOON, eventually

pytestmark = pytest.mark.both_backends


async def test_message_that_its_process_did_not_live_to_publish_is_published_by_another(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        worker = await fleet.worker("ServiceInstance")
        dying = await fleet.process("gateway")
        await fleet.create(instance("one", "db"), through=dying)
        await dying.kill()
        assert await worker.resources.relay.publish_left_behind() == 0, "its process may still be about to publish it"
        fleet.clock.advance(11)
        assert await worker.resources.relay.publish_left_behind() == 1
        await fleet.until_ready(INSTANCE, "one")
    await outbox_is_empty(fleet)


async def test_sweep_publishes_what_a_dead_process_left_in_the_outbox(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        worker = await fleet.worker("ServiceInstance")
        dying = await fleet.process("gateway")
        await fleet.create(broker("db", osb_broker.url), through=dying)
        await dying.kill()
        assert ("ServiceInstance", "broker:/db") not in worker.line.listening
        fleet.clock.advance(11)
        await worker.sweep().once()
        await eventually(lambda: is_listening(worker, "broker:/db"), what="the lane to be opened")


async def test_rows_stay_in_the_outbox_while_the_bus_is_away(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        worker = await fleet.worker("ServiceInstance")
        await outbox_is_empty(fleet)
        fleet.front.line.is_down = True
        await fleet.create(instance("one", "db"))
        fleet.clock.advance(11)
        assert await fleet.front.resources.relay.publish_left_behind() == 0
        assert [row["message"] for row in await fleet.rows("outbox")] != []
        with pytest.raises(Unavailable):
            await fleet.front.sweep().once()
        assert [row["message"] for row in await fleet.rows("outbox")] != []
        fleet.front.line.is_down = False
        assert await fleet.front.resources.relay.publish_left_behind() == 1
        await fleet.until_ready(INSTANCE, "one")
        assert len(osb_broker.seen_of(osb.PROVISION)) == 1
    await outbox_is_empty(fleet)
    await worker.stop()


async def test_message_for_a_lane_that_the_bus_refuses_keeps_no_other_in_the_outbox(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await fleet.process("worker")
    publish = process.line.publish

    async def publish_unless_bad(messages: Sequence[Message]) -> None:
        if any(isinstance(message, Reconcile) and message.lane == "broker:/bad" for message in messages):
            raise Unavailable("ACCESS_REFUSED")
        await publish(messages)

    monkeypatch.setattr(process.line, "publish", publish_unless_bad)
    lanes = ("broker:/bad", "broker:/one", "broker:/two")
    commands = [Reconcile(kind="ServiceInstance", uid=f"u-{number}", lane=lane) for number, lane in enumerate(lanes)]

    async def leave_behind(unit: UnitOfWork) -> None:
        unit.outbox.add(*commands)

    await process.database.run(leave_behind)
    fleet.clock.advance(11)

    await process.resources.relay.publish_left_behind()

    assert process.line.published == commands[1:]
    assert [decode(row["message"].encode()) for row in await fleet.rows("outbox")] == commands[:1]


async def test_drain_publishes_what_waits_when_a_process_ends(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await fleet.worker("ServiceInstance")
        ending = await fleet.process("gateway")
        await fleet.create(instance("one", "db"), through=ending)
        await ending.stop()
        await fleet.until_ready(INSTANCE, "one")


async def test_lost_command_is_sent_again(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        worker = await fleet.worker("ServiceInstance")
        await write_without_a_command(fleet, "one")
        sweep = worker.sweep()
        assert await sweep.once() == 0, "it may still be on its way"
        fleet.clock.advance(11)
        assert await sweep.once() >= 1
        await fleet.until_ready(INSTANCE, "one")
        assert len(osb_broker.seen_of(osb.PROVISION)) == 1


async def test_command_is_not_sent_at_every_sweep_while_it_is_on_its_way(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await write_without_a_command(fleet, "one")
        sweep = fleet.front.sweep()
        fleet.clock.advance(11)
        assert await sweep.once() >= 1
        assert await sweep.once() == 0
        fleet.clock.advance(31)
        assert await sweep.once() >= 1, "the command was lost once more"


async def test_one_process_sweeps_until_its_lease_runs_out(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        first, second = (await fleet.process("worker")).sweep(), (await fleet.process("worker")).sweep()
        await first.once()
        await write_without_a_command(fleet, "one")
        fleet.clock.advance(4)
        assert await first.once() == 0
        fleet.clock.advance(4)
        assert await second.once() == 0
        fleet.clock.advance(4)
        assert await second.once() >= 1, "the first has not been heard of for longer than its lease"
        assert await first.once() == 0


async def test_many_processes_that_sweep_at_once_send_a_command_once(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await write_without_a_command(fleet, "one")
        sweeps = [(await fleet.process("worker")).sweep() for _ in range(4)]
        fleet.clock.advance(11)
        await asyncio.gather(*(sweep.once() for sweep in sweeps))
        uid = (await fleet.find(INSTANCE, "one")).metadata.uid
        sent = [each for process in fleet.processes for each in process.line.published]
        assert len([each for each in sent if isinstance(each, Reconcile) and each.uid == uid]) == 1


async def test_sweep_trims_what_is_too_old_and_nothing_else(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
    changes, events = len(await fleet.rows("changes")), len(await fleet.rows("events"))
    assert changes
    assert events
    await (await fleet.process("worker")).sweep().once()
    assert (len(await fleet.rows("changes")), len(await fleet.rows("events"))) == (changes, events)
    fleet.clock.advance(timedelta(hours=73).total_seconds())
    await fleet.create(instance("two", "db"))
    await (await fleet.process("worker")).sweep().once()
    # The worker may have told by now what came of the second.
    left = {(row["kind"], row["name"]) for row in await fleet.rows("changes") if row["kind"] != "Event"}
    assert left == {("ServiceInstance", "two")}
    assert {row["involved_name"] for row in await fleet.rows("events")} <= {"two"}
    assert (await fleet.ready(INSTANCE, "one") or ("", ""))[0] == "True", "the truth itself is not trimmed"


async def test_log_is_trimmed_while_the_bus_is_away(fleet: Fleet) -> None:
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        await write_without_a_command(fleet, "one")
    async with fleet.front.engine.begin() as connection:
        await connection.execute(update(CHANGES).values(at=fleet.clock() - timedelta(days=1)))
    fleet.clock.advance(11)
    fleet.front.line.is_down = True
    with pytest.raises(Unavailable):
        await fleet.front.sweep().once()
    assert await fleet.rows("changes") == []


@pytest.mark.parametrize(
    "fault", [Unavailable(), Conflict(), LookupError("a bug")], ids=lambda fault: type(fault).__name__
)
async def test_sweep_goes_on_after_whatever_goes_wrong(
    fleet: Fleet, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await fleet.process("worker", sweep_seconds=0.01)
    sweep, real = process.sweep(), process.resources.relay.publish_left_behind
    swept = asyncio.Event()

    async def fail_once(*, limit: int = 500) -> int:
        monkeypatch.undo()
        swept.set()
        raise fault

    monkeypatch.setattr(process.resources.relay, "publish_left_behind", fail_once)
    sweeping = asyncio.create_task(sweep.run())
    async with asyncio.timeout(SOON):
        await swept.wait()
    rounds = sweep._rounds
    await eventually(lambda: true_if(sweep._rounds > rounds + 1), what="another sweep")
    await ended(sweeping)
    assert process.resources.relay.publish_left_behind == real


async def test_message_of_a_later_release_in_the_outbox_does_not_end_the_sweep(fleet: Fleet) -> None:
    row = {"at": fleet.clock() - timedelta(minutes=1), "message": '{"type": "Unheard", "uid": "u-1"}'}
    async with fleet.front.engine.begin() as connection:
        await connection.execute(insert(OUTBOX).values(row))
    async with ScriptedBroker() as osb_broker:
        await fleet.offer("db", osb_broker.url)
        worker = await fleet.worker("ServiceInstance", sweep_seconds=0.01)
        await write_without_a_command(fleet, "one")
        sweeping = asyncio.create_task(worker.sweep().run())
        fleet.clock.advance(11)
        await fleet.until_ready(INSTANCE, "one")
        assert not sweeping.done()
        await ended(sweeping)


async def write_without_a_command(fleet: Fleet, name: str) -> None:
    """An instance of `db` whose command is nowhere: neither on the bus nor in the outbox."""
    dying = await fleet.process("gateway")
    await fleet.create(instance(name, "db"), through=dying)
    async with dying.engine.begin() as connection:
        await connection.execute(delete(OUTBOX).where(OUTBOX.c.message.contains('"Reconcile"')))
    await dying.kill()


async def outbox_is_empty(fleet: Fleet) -> None:
    async def is_empty() -> bool:
        return not await fleet.rows("outbox")

    await eventually(is_empty, what="the outbox to be emptied")


async def is_listening(process: Process, lane: str) -> bool:
    return ("ServiceInstance", lane) in process.line.listening


async def true_if(condition: bool) -> bool:
    return condition
