"""Which lanes a worker listens on: those it finds, those that are announced, those whose announcement it missed."""

import asyncio
from collections.abc import Sequence

import pytest

from chandlery.contracts.messages import LaneOpened, Reconcile
from chandlery.model.objects import kinds
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import BUILDS, INSTANCE, Fleet, Process, binding, broker, catalog, instance
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_backends

OFTEN = 0.02
NOBODY = "http://127.0.0.1:9"


async def test_worker_listens_on_every_lane_that_is_known_when_it_starts(fleet: Fleet) -> None:
    await fleet.offer("one", NOBODY)
    await fleet.offer("two", NOBODY)
    worker = await fleet.worker("ServiceInstance", "ServiceBinding")
    assert worker.line.listening == {
        (kind, lane)
        for kind in ("ServiceInstance", "ServiceBinding")
        for lane in ("broker:/one", "broker:/two", "unresolved")
    }


async def test_worker_listens_on_a_lane_as_soon_as_its_broker_is_registered(fleet: Fleet) -> None:
    worker = await fleet.worker("ServiceInstance")
    await fleet.offer("one", NOBODY)
    await listens(worker, "broker:/one")


async def test_lane_whose_announcement_was_missed_is_found(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        worker = await looking_worker(fleet)
        fleet.front.line.is_down = True
        await fleet.create(broker("one", scripted.url))
        await fleet.insert(*catalog("one"))
        await listens(worker, "broker:/one")
        fleet.front.line.is_down = False
        await fleet.create(instance("one", "one"))
        await fleet.until_ready(INSTANCE, "one")


async def test_lane_is_closed_when_its_broker_is_gone(fleet: Fleet) -> None:
    worker = await looking_worker(fleet)
    await fleet.create(broker("one", NOBODY))
    await listens(worker, "broker:/one")
    await take_away(fleet, "one")
    await listens(worker, "broker:/one", is_open=False)
    assert ("ServiceInstance", "unresolved") in worker.line.listening


async def test_queue_goes_with_its_broker(fleet: Fleet) -> None:
    worker = await looking_worker(fleet)
    await fleet.create(broker("one", NOBODY))
    await listens(worker, "broker:/one")
    await take_away(fleet, "one")
    await eventually(lambda: is_retired(worker, "broker:/one"), what="the queue to be removed")
    assert worker.line.retired == [("broker:/one", True)]


async def test_queue_of_a_broker_that_is_gone_stays_until_its_commands_are_worked_off(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await looking_worker(fleet)
    await fleet.create(broker("one", NOBODY))
    await listens(worker, "broker:/one")
    handled = len(worker.handled)
    remove_queues = worker.line.remove_queues

    async def remove_too_late(names: Sequence[str], lane: str) -> bool:
        # As if this had come just after the worker stopped to listen.
        monkeypatch.undo()
        await fleet.front.line.publish([Reconcile(kind="ServiceInstance", uid="long-gone", lane=lane)])
        return await remove_queues(names, lane)

    monkeypatch.setattr(worker.line, "remove_queues", remove_too_late)
    consume = worker.line.consume

    async def consume_late(names, lane, handler, *, concurrency):  # type: ignore[no-untyped-def]
        # As if the server took longer than it takes to look for lanes again.
        await several_looks(worker)
        return await consume(names, lane, handler, concurrency=concurrency)

    worker.line.consume = consume_late  # type: ignore[method-assign]
    await take_away(fleet, "one")
    await eventually(lambda: is_retired(worker, "broker:/one"), what="the queue to be removed")
    assert worker.line.retired[0] == ("broker:/one", False)
    assert len(worker.handled) == handled + 1


async def test_lane_is_opened_again_when_its_broker_comes_back(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        worker = await looking_worker(fleet)
        await fleet.create(broker("one", NOBODY))
        await listens(worker, "broker:/one")
        await take_away(fleet, "one")
        await listens(worker, "broker:/one", is_open=False)
        await fleet.create(broker("one", scripted.url))
        await fleet.insert(*catalog("one"))
        await listens(worker, "broker:/one")
        await fleet.create(instance("one", "one"))
        await fleet.until_ready(INSTANCE, "one")


async def test_lane_without_a_broker_stays_open_while_there_is_work_on_it(fleet: Fleet) -> None:
    worker = await looking_worker(fleet)
    await fleet.offer("one", NOBODY)
    await fleet.offer("two", NOBODY)
    await fleet.create(instance("left", "one"))

    async def has_been_tried() -> bool:
        return bool((await fleet.work_row(INSTANCE, "left"))["attempt"])

    # Before that, its broker is looked for in vain, and it is on no lane of a broker.
    await eventually(has_been_tried, what="the instance to be tried")
    await take_away(fleet, "one")
    await take_away(fleet, "two")
    await listens(worker, "broker:/two", is_open=False)
    assert ("ServiceInstance", "broker:/one") in worker.line.listening


async def test_syncer_listens_on_its_single_lane_and_stays_there(fleet: Fleet) -> None:
    worker = await (await fleet.process("syncer")).work(
        {"ClusterServiceBroker": BUILDS["ClusterServiceBroker"]}, look_every_seconds=OFTEN
    )
    await fleet.create(broker("one", NOBODY))
    looked = asyncio.create_task(several_looks(worker))
    await looked
    assert worker.line.listening == {("ClusterServiceBroker", "all")}


async def test_a_worker_takes_up_itself_what_is_due_on_the_lanes_of_brokers_and_leaves_the_rest_to_the_bus(
    fleet: Fleet,
) -> None:
    await fleet.offer("one", NOBODY)
    worker = await fleet.worker("ServiceInstance", "ServiceBinding", "ClusterServiceBroker")
    assert set(worker.resources.requeue_timers.takers) == {
        (kind, lane) for kind in ("ServiceInstance", "ServiceBinding") for lane in ("broker:/one", "unresolved")
    }


async def test_lane_that_is_announced_while_it_is_opened_is_opened_once(fleet: Fleet) -> None:
    worker = await fleet.worker("ServiceInstance")
    assert worker.worker is not None
    fleet.front.line.is_down = True
    await fleet.create(broker("one", NOBODY))
    consumed: list[str] = []
    consume = worker.line.consume

    async def consume_slowly(names, lane, handler, *, concurrency):  # type: ignore[no-untyped-def]
        consumed.append(lane)
        await asyncio.sleep(0)
        return await consume(names, lane, handler, concurrency=concurrency)

    worker.line.consume = consume_slowly  # type: ignore[method-assign]
    await asyncio.gather(*(worker.worker._open_announced(LaneOpened(lane="broker:/one")) for _ in range(5)))
    await listens(worker, "broker:/one")
    assert consumed == ["broker:/one"]
    await worker.stop()
    assert worker.line.listening == set(), "every subscription was closed"


@pytest.mark.parametrize("lane", ["broker:/evil\n..//", "broker:/nobody", "a" * 3000], ids=["evil", "nobody", "long"])
async def test_lane_that_no_service_broker_has_is_not_opened_and_holds_up_no_other(fleet: Fleet, lane: str) -> None:
    worker = await fleet.worker("ServiceInstance")
    await fleet.front.line.publish([LaneOpened(lane=lane)])
    async with ScriptedBroker() as scripted:
        await fleet.offer("one", scripted.url)
        await listens(worker, "broker:/one")
        assert ("ServiceInstance", lane) not in worker.line.listening
        await fleet.create(instance("one", "one"))
        await fleet.until_ready(INSTANCE, "one")


async def test_lane_that_cannot_be_listened_on_holds_up_no_other(fleet: Fleet) -> None:
    worker = await fleet.worker("ServiceInstance")
    consume, is_asked = worker.line.consume, asyncio.Event()

    async def consume_unless_bad(names, lane, handler, *, concurrency):  # type: ignore[no-untyped-def]
        if lane == "broker:/bad":
            is_asked.set()
            # As if the server refused its queue: the bus asks for it again and again.
            await asyncio.Event().wait()
        return await consume(names, lane, handler, concurrency=concurrency)

    worker.line.consume = consume_unless_bad  # type: ignore[method-assign]
    await fleet.create(broker("bad", NOBODY))
    await asyncio.wait_for(is_asked.wait(), 10)
    await fleet.create(broker("one", NOBODY))
    await listens(worker, "broker:/one")
    await worker.stop()
    assert worker.line.listening == set()


async def test_command_that_gives_a_binding_to_the_provisioner_changes_nothing(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("one", scripted.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(binding("mine"), instance("one", "one"))
        uid = (await fleet.find(kinds.SERVICE_BINDING, "mine")).metadata.uid
        await fleet.front.line.publish([Reconcile(kind="ServiceInstance", uid=uid, lane="broker:/one")])
        await eventually(lambda: has_handled(worker, uid), what="the command to be read")
        await fleet.until_ready(INSTANCE, "one")
        row = await fleet.work_row(kinds.SERVICE_BINDING, "mine")
        assert (row["fence"], row["lease_owner"]) == (0, None), "nobody has claimed it"


async def test_broker_with_the_longest_of_names_gets_its_work_done(fleet: Fleet) -> None:
    name = "b" * 63 + "." + "b" * 63 + "." + "b" * 63 + "." + "b" * 61
    assert len(name) == 253
    async with ScriptedBroker() as scripted, ScriptedBroker() as other:
        await fleet.offer("usual", other.url)
        await fleet.create(broker(name, scripted.url))
        service_class, plan = catalog("long")
        await fleet.insert(belonging_to(service_class, name), belonging_to(plan, name))
        await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "long"), instance("two", "usual"))
        await fleet.until_ready(INSTANCE, "one", "two")


async def looking_worker(fleet: Fleet) -> Process:
    """A provisioner that looks for lanes all the time."""
    process = (await fleet.process("worker")).relay()
    return await process.work({"ServiceInstance": BUILDS["ServiceInstance"]}, look_every_seconds=OFTEN)


async def listens(worker: Process, lane: str, *, is_open: bool = True) -> None:
    async def as_expected() -> bool:
        return (("ServiceInstance", lane) in worker.line.listening) == is_open

    await eventually(as_expected, what=f"{lane} to be {'open' if is_open else 'closed'}")


async def is_retired(worker: Process, lane: str) -> bool:
    return (lane, True) in worker.line.retired


async def has_handled(worker: Process, uid: str) -> bool:
    return uid in [message.uid for message in worker.handled if isinstance(message, Reconcile)]


async def several_looks(worker: Process) -> None:
    """Wait until the worker has looked for lanes a few times."""
    database, looks = worker.database, 0
    run = database.run

    async def count(work, *, dry_run=False):  # type: ignore[no-untyped-def]
        nonlocal looks
        looks += 1
        return await run(work, dry_run=dry_run)

    database.run = count  # type: ignore[method-assign]

    async def looked() -> bool:
        return looks >= 3

    await eventually(looked, what="the worker to look")


async def take_away(fleet: Fleet, name: str) -> None:
    """What the syncer does in the end when a broker is deleted."""

    async def remove(unit: UnitOfWork) -> None:
        found = await unit.objects.get(kinds.CLUSTER_SERVICE_BROKER, "", name)
        assert found is not None
        await unit.objects.remove(found)
        await unit.work_queue.remove(found.metadata.uid or "")

    await fleet.front.database.run(remove)


def belonging_to(offering: kinds.AnyObject, broker_name: str) -> kinds.AnyObject:
    """The class or plan as one of this broker's."""
    spec = getattr(offering, "spec").model_copy(update={"cluster_service_broker_name": broker_name})  # noqa: B009
    return offering.model_copy(update={"spec": spec})
