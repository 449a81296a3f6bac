"""Invariant 2: at most one change per instance is in flight at its broker, whatever is delivered how often to whom."""

import asyncio
from collections import defaultdict

import pytest

from chandlery.contracts.messages import Reconcile
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, SeenRequest
from tests.conformance.scripted.scripted_exchange import peak_in_flight
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, instance
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_backends

CHANGES = (osb.PROVISION, osb.UPDATE, osb.DEPROVISION)
NAMES = [f"one-{number}" for number in range(6)]


async def test_no_two_changes_of_an_instance_meet_although_everything_is_delivered_three_times(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        # Long enough for a second delivery to arrive while the first is worked on.
        for template, status in zip(CHANGES, (201, 200, 200), strict=True):
            broker.always(template, Reply(status, delay_seconds=0.05))
        await fleet.offer("db", broker.url)
        workers = [await fleet.worker("ServiceInstance", broker_concurrency=16) for _ in range(2)]
        for process in fleet.processes:
            process.line.copies = 3
        instances = [instance(name, "db") for name in NAMES]
        await fleet.create(*instances)
        await broker.wait_for(osb.PROVISION, len(NAMES))
        for each in instances:
            await fleet.change_spec(each, size="large")
        await fleet.until_ready(INSTANCE, *NAMES)
        await broker.wait_for(osb.UPDATE, len(NAMES))
        for each in instances:
            await fleet.delete(each)
        for name in NAMES:
            await fleet.until_gone(INSTANCE, name)
        assert all(peak_in_flight(seen) == 1 for seen in by_instance(broker).values())
        for template in CHANGES:
            assert len(broker.seen_of(template)) == len(NAMES), "no change was asked for twice"
    assert all(commands(worker) for worker in workers), "only one of them had work"
    assert sum(len(commands(worker)) for worker in workers) >= 3 * 3 * len(NAMES)


async def test_command_that_comes_while_its_object_is_worked_on_is_not_waited_for(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        gate = asyncio.Event()
        broker.script(osb.PROVISION, Reply(201, gate=gate))
        await fleet.offer("db", broker.url)
        first, second = await fleet.worker("ServiceInstance"), await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await broker.wait_for(osb.PROVISION)
        uid = (await fleet.find(INSTANCE, "one")).metadata.uid
        again = Reconcile(kind="ServiceInstance", uid=uid, lane="broker:/db")
        await fleet.front.line.publish([again] * 6)

        async def all_delivered() -> bool:
            return len(commands(first)) + len(commands(second)) >= 7

        # Both have room for four at a time: six that waited for the first would leave the lane stuck.
        await eventually(all_delivered, what="the other commands to be delivered")
        await fleet.create(instance("two", "db"))
        await fleet.until_ready(INSTANCE, "two")
        assert len(broker.seen_of(osb.PROVISION)) == 2
        gate.set()
        await fleet.until_ready(INSTANCE, "one")
        assert len(broker.seen_of(osb.PROVISION)) == 2


async def test_desired_state_that_comes_in_mid_call_is_granted_after_it(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        gate = asyncio.Event()
        broker.script(osb.PROVISION, Reply(201, gate=gate))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance")
        one = instance("one", "db", parameters={"size": "small"})
        await fleet.create(one)
        await broker.wait_for(osb.PROVISION)
        await fleet.change_spec(one, size="large")
        gate.set()
        (update,) = await broker.wait_for(osb.UPDATE)
        await fleet.until_ready(INSTANCE, "one")
        assert update.body["parameters"] == {"size": "large"}
        assert peak_in_flight(by_instance(broker).popitem()[1]) == 1


def by_instance(broker: ScriptedBroker) -> dict[str, list[SeenRequest]]:
    """The changes that the broker was asked for, by the id of the instance."""
    found: defaultdict[str, list[SeenRequest]] = defaultdict(list)
    for template in CHANGES:
        for seen in broker.seen_of(template):
            found[seen.ids["instance_id"]].append(seen)
    return found


def commands(process: Process) -> list[Reconcile]:
    return [message for message in process.handled if isinstance(message, Reconcile)]
