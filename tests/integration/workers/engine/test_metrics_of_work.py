"""What workers count of small stories: each number is known before."""

from collections.abc import Mapping
from typing import Any

from chandlery.model.objects.brokers import CircuitBreaker, RateLimit
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BUILDS, INSTANCE, Fleet, Process, broker, instance
from tests.support.measured.metrics_page import Told
from tests.support.waiting import eventually

AN_HOUR = 3600.0
HELD = "BrokerCircuitOpen"
KIND = "ServiceInstance"


async def counted(worker: Process, expected: Mapping[tuple[str, ...], float], *unseen: str) -> None:
    """Wait until all that the metrics in `expected` tell is this, and the others nothing."""
    names = {key[0] for key in expected} | set(unseen)

    def told() -> Told:
        short = {(key[0].removeprefix("chandlery_"), *key[1:]): value for key, value in worker.told().items()}
        return {key: value for key, value in short.items() if key[0] in names}

    # A round is counted once it is committed, so that others see first what it has written.
    await eventually(told, lambda seen: seen == expected, what=f"{expected} to be counted")


async def test_a_provision_whose_first_try_fails_is_counted_step_by_step(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        scripted.script(osb.PROVISION, Reply(500), Reply(201))
        await fleet.offer("db", scripted.url)
        worker = await fleet.worker(KIND)
        await fleet.create(instance("one", "db"))
        await fleet.ready_in_time(INSTANCE, "one", worker.sweep(), seconds=2)

    expected = {
        ("broker_call_duration_seconds_count", "db", "ProvisionInstance", "5xx"): 1,
        ("broker_call_duration_seconds_count", "db", "DeprovisionInstance", "2xx"): 1,
        ("broker_call_duration_seconds_count", "db", "ProvisionInstance", "2xx"): 1,
        ("broker_calls_under_way", "db"): 0,
        ("rounds_total", "provision", KIND, "failed"): 1,
        ("rounds_total", "mitigate", KIND, "done"): 1,
        ("rounds_total", "provision", KIND, "done"): 1,
        ("round_duration_seconds_count", KIND): 3,
        ("orphan_mitigations_total", "db", KIND, "done"): 1,
        ("time_to_ready_seconds_count", "db", KIND): 1,
    }
    await counted(worker, expected, "leases_lost_total", "broker_calls_deferred_total")
    told = worker.told()
    # It was let pass until the second try.
    assert told["chandlery_time_to_ready_seconds_sum", "db", KIND] >= 1
    assert told["chandlery_database_transactions_total", "committed"] >= 6
    assert told.get(("chandlery_database_transactions_total", "failed"), 0) == 0


async def test_time_to_ready_counts_from_the_last_change_of_the_specification(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        worker = await fleet.worker(KIND)
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        fleet.clock.advance(AN_HOUR)
        await fleet.change_spec(instance("one", "db"), size="large")
        await counted(worker, {("time_to_ready_seconds_count", "db", KIND): 2})

    assert worker.told()["chandlery_time_to_ready_seconds_sum", "db", KIND] < AN_HOUR


async def test_a_ready_that_comes_back_without_a_change_is_nobodys_wait(fleet: Fleet) -> None:
    ready: tuple[str, ...] = ("time_to_ready_seconds_count", "db", CLUSTER_SERVICE_BROKER.kind)
    async with ScriptedBroker(simple_catalog(simple_service("db"))) as scripted:
        worker = await fleet.worker(CLUSTER_SERVICE_BROKER.kind)
        sweep = worker.sweep()
        await fleet.create(broker("db", scripted.url))
        await fleet.until_ready(CLUSTER_SERVICE_BROKER, "db")
        await counted(worker, {ready: 1})

        scripted.script(osb.GET_CATALOG, Reply(500))
        fleet.clock.advance(25 * AN_HOUR)
        await fleet.in_time(lambda: _is_lost(fleet), CLUSTER_SERVICE_BROKER, "db", sweep, seconds=1)
        await fleet.ready_in_time(CLUSTER_SERVICE_BROKER, "db", sweep, seconds=60)

    expected = {
        ready: 1,
        ("catalog_syncs_total", "db", "done"): 2,
        ("catalog_syncs_total", "db", "failed"): 1,
        ("catalog_changes_total", "db", "added"): 2,
    }
    await counted(worker, expected)


async def _is_lost(fleet: Fleet) -> bool:
    return (await fleet.ready(CLUSTER_SERVICE_BROKER, "db") or ("", ""))[0] == "False"


async def test_calls_that_are_held_back_are_counted_by_what_holds_them(fleet: Fleet) -> None:
    async with ScriptedBroker() as failing, ScriptedBroker() as slow:
        failing.always(osb.PROVISION, Reply(500))
        circuit = CircuitBreaker(consecutive_failures=1, open_duration="1h")
        await fleet.offer("failing", failing.url, circuit_breaker=circuit)
        await fleet.offer("slow", slow.url, rate_limit=RateLimit(requests_per_second=0.001, burst=1))
        worker = await fleet.worker(KIND)
        await fleet.create(instance("first", "failing"))
        # What its first try may have left is not removed either.
        await fleet.until_condition(INSTANCE, "first", ("Unknown", HELD))
        await fleet.create(instance("second", "failing"))
        await fleet.until_condition(INSTANCE, "second", ("False", HELD))
        await fleet.create(instance("third", "slow"))
        await fleet.until_ready(INSTANCE, "third")
        await fleet.create(instance("fourth", "slow"))
        await fleet.until_condition(INSTANCE, "fourth", ("False", "BrokerRateLimited"))

    expected = {
        ("broker_circuit_open", "failing"): 1,
        ("broker_circuit_openings_total", "failing"): 1,
        ("broker_calls_deferred_total", "failing", "circuit"): 2,
        ("broker_calls_deferred_total", "slow", "rate limit"): 1,
        ("rounds_total", "provision", KIND, "failed"): 1,
        ("rounds_total", "mitigate", KIND, "deferred"): 1,
        ("rounds_total", "provision", KIND, "done"): 1,
        ("rounds_total", "provision", KIND, "deferred"): 2,
    }
    await counted(worker, expected)


async def test_a_broker_that_is_gone_is_told_of_no_more(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url)
        worker = await fleet.process("worker")
        await worker.relay().work({KIND: BUILDS[KIND]}, look_every_seconds=0.05)
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        assert _of_broker(worker)

        await _take_away(fleet)

        await eventually(lambda: not _of_broker(worker), what="the series of the broker to go")
        await worker.stop()


def _of_broker(worker: Process) -> list[Any]:
    return [key for key in worker.told() if "db" in key]


async def _take_away(fleet: Fleet) -> None:
    """As if broker and instance had gone long ago."""

    async def remove(unit: Any) -> None:
        for kind, namespace, name in ((INSTANCE, "ns", "one"), (CLUSTER_SERVICE_BROKER, "", "db")):
            found = await unit.objects.get(kind, namespace, name)
            await unit.objects.remove(found)
            await unit.work_queue.remove(found.metadata.uid or "")

    await fleet.front.database.run(remove)
