"""One process counts for all what is in the database: the one that sweeps, for as long as it does."""

from chandlery.engine.upkeep.counting import Counting
from chandlery.engine.upkeep.sweep import Sweep
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, instance
from tests.support.measured.metrics_page import Told

LEASE = 10.0
"""Seconds after which a sweeper that says nothing has lost its lease."""


class Counter:
    """A process that may be the one to count."""

    def __init__(self, process: Process) -> None:
        resources = process.resources
        self.sweep: Sweep = process.sweep()
        self._process = process
        self._counting = Counting(
            resources.database, resources.bus, resources.metrics, is_holder=lambda: self.sweep.is_holder
        )

    async def count(self) -> Told:
        """Sweep if it may, and count if it does; what its metrics tell of the whole."""
        await self.sweep.once()
        await self._counting.once()
        return self.told()

    def told(self) -> Told:
        ours = ("backlog", "backlog_oldest_seconds", "objects", "outbox_messages", "replicas", "dead_letters")
        short = {(key[0].removeprefix("chandlery_"), *key[1:]): value for key, value in self._process.told().items()}
        return {key: value for key, value in short.items() if key[0] in ours}


async def test_whoever_sweeps_tells_what_waits_what_is_there_and_who_works(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        worker = await fleet.worker("ServiceInstance")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        await worker.stop()
        # Now nobody works on anything.
        await fleet.create(instance("two", "db"))
        told = await Counter(fleet.front).count()

    assert told["backlog", "db", "ServiceInstance", "provisioner"] == 1
    assert told["backlog_oldest_seconds", "db", "ServiceInstance", "provisioner"] < LEASE
    assert told["objects", "db", "ServiceInstance", "True"] == 1
    assert told["objects", "db", "ServiceInstance", "Unknown"] == 1
    assert (told["replicas", "provisioner"], told["replicas", "binder"], told["replicas", "syncer"]) == (0, 0, 0)
    assert told["dead_letters", "provisioner.instance.reconcile.dead"] == 0
    assert ("outbox_messages",) in told


async def test_where_nothing_waits_that_is_told_too(fleet: Fleet) -> None:
    idle = await Counter(fleet.front).count()
    every = {
        ("provisioner", "ServiceInstance"),
        ("binder", "ServiceBinding"),
        ("syncer", "ClusterServiceBroker"),
        ("syncer", "ServiceBroker"),
        ("syncer", "Namespace"),
    }
    assert {(key[3], key[2]) for key in idle if key[0] == "backlog"} == every
    # The fleet's own namespace may be due.
    of_others = {key: value for key, value in idle.items() if "Namespace" not in key}
    assert {value for key, value in of_others.items() if key[0] in ("backlog", "backlog_oldest_seconds")} == {0}

    await fleet.offer("db", "http://127.0.0.1:9")
    await fleet.create(instance("one", "db"))
    told = await Counter(fleet.front).count()

    assert told["backlog", "db", "ServiceInstance", "provisioner"] == 1
    assert told["backlog", "db", "ServiceBinding", "binder"] == 0
    assert told["backlog_oldest_seconds", "db", "ServiceBinding", "binder"] == 0
    assert told["backlog", "", "ServiceInstance", "provisioner"] == 0


async def test_workers_that_are_at_work_are_counted(fleet: Fleet) -> None:
    await fleet.worker("ServiceInstance")
    await fleet.worker("ServiceInstance")
    await fleet.worker("ClusterServiceBroker")

    told = await Counter(fleet.front).count()

    assert (told["replicas", "provisioner"], told["replicas", "binder"], told["replicas", "syncer"]) == (2, 0, 1)


async def test_only_who_holds_the_lease_tells_so_that_nothing_is_told_twice(fleet: Fleet) -> None:
    first, second = Counter(fleet.front), Counter(await fleet.process("second"))
    assert await first.count()
    assert await second.count() == {}

    # Halted for longer than its lease lasts, which another process takes over.
    fleet.clock.advance(LEASE)
    assert await second.count()
    assert await first.count() == {}


async def test_sweeps_are_counted_with_what_they_send_again(fleet: Fleet) -> None:
    await fleet.offer("db", "http://127.0.0.1:9")
    await fleet.create(instance("one", "db"))
    fleet.clock.advance(60)
    sweep = fleet.front.sweep()
    await sweep.once()

    told = fleet.front.told()
    assert told["chandlery_sweeps_total", "done"] == 1
    assert told["chandlery_swept_objects_total", "ServiceInstance"] == 1
