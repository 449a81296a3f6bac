"""A service broker that fails is left alone, others are not, and what waits goes on as soon as it answers again."""

import asyncio
from functools import partial
from typing import Any

from chandlery.model.objects.annotations import FORCE_DELETE, RETRY
from chandlery.model.objects.brokers import CircuitBreaker, RateLimit, RetryPolicy
from chandlery.model.objects.conditions import Condition, ConditionType, find_condition
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER, Kind
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, Fleet, binding, broker, instance
from tests.support.waiting import eventually

FEW = CircuitBreaker(consecutive_failures=3, open_duration="1h")
"""Nobody but a test lets an hour pass."""
PATIENT = RetryPolicy(initial_delay="2h", maximum_delay="2h")
HELD = ("False", "BrokerCircuitOpen")
NAMES = [f"one-{number}" for number in range(3)]
MORE = [f"more-{number}" for number in range(5)]


async def fail(fleet: Fleet, scripted: ScriptedBroker, **spec: Any) -> None:
    """Register the broker and have three calls fail, which opens its circuit."""
    scripted.always(osb.PROVISION, Reply(500))
    scripted.always(osb.DEPROVISION, Reply(500))
    await fleet.offer("db", scripted.url, circuit_breaker=FEW, retry_policy=PATIENT, **spec)
    await fleet.worker("ServiceInstance")
    await fleet.create(*(instance(name, "db") for name in NAMES))
    await eventually(lambda: _is_noted(fleet), what="the circuit to be open")


async def _is_noted(fleet: Fleet) -> bool:
    return bool(await fleet.rows("circuits"))


async def held(fleet: Fleet, *names: str) -> None:
    """Make instances, and wait until they wait for the broker."""
    await fleet.create(*(instance(name, "db") for name in names))
    for name in names:
        await fleet.until_condition(INSTANCE, name, HELD)


async def test_a_broker_that_fails_is_left_alone_and_the_objects_say_why(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        calls = len(scripted.seen)
        await held(fleet, *MORE)
        assert len(scripted.seen) == calls
        found = await fleet.find(INSTANCE, MORE[0])
        condition = find_condition(found.status.conditions, ConditionType.READY)
        assert condition is not None
        assert 'The service broker "db" is paused' in condition.message
        assert "Status: 500" in condition.message
        assert found.status.next_attempt_time is not None
        row = await fleet.work_row(INSTANCE, MORE[0])
        assert (row["attempt"], row["sealed"], row["lease_owner"]) == (0, None, None)


async def test_a_broker_that_fails_leaves_others_alone(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted, ScriptedBroker() as healthy:
        await fail(fleet, scripted)
        await fleet.offer("quick", healthy.url)
        await fleet.create(instance("quick", "quick"))
        await fleet.until_ready(INSTANCE, "quick")


async def test_one_answer_to_a_probe_brings_everything_back_at_once(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        await held(fleet, *MORE)
        scripted.always(osb.PROVISION, Reply(201))
        scripted.always(osb.DEPROVISION, Reply(200))
        fleet.clock.advance(3600)
        # Minutes away by their due time; those whose calls failed, and that are mitigated first, hours by back-off.
        await fleet.until_ready(INSTANCE, *MORE)
        for name in NAMES:
            await eventually(partial(_is_mitigated, fleet, name), what=f"what {name} may have left to be deleted")
        assert await fleet.rows("circuits") == []


async def _is_mitigated(fleet: Fleet, name: str) -> bool:
    return not (await fleet.find(INSTANCE, name)).status.orphan_mitigation_in_progress


async def test_while_it_fails_only_one_call_tries_it(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        await held(fleet, *MORE)
        gate = asyncio.Event()
        scripted.always(osb.PROVISION, Reply(500, gate=gate))
        scripted.always(osb.DEPROVISION, Reply(500, gate=gate))
        calls, before = len(scripted.seen), (await fleet.rows("circuits"))[0]["retry_at"]
        fleet.clock.advance(3600)
        await eventually(lambda: _has_called(scripted, calls + 1), what="a probe")
        gate.set()

        async def is_later() -> bool:
            return bool((await fleet.rows("circuits"))[0]["retry_at"] > before)

        await eventually(is_later, what="the circuit to be open for longer")
        assert len(scripted.seen) == calls + 1


async def _has_called(scripted: ScriptedBroker, calls: int) -> bool:
    return len(scripted.seen) >= calls


async def test_a_process_that_ends_hands_over_what_it_held_back(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        await held(fleet, *MORE)
        scripted.always(osb.PROVISION, Reply(201))
        scripted.always(osb.DEPROVISION, Reply(200))
        await fleet.processes[-1].stop()
        assert await fleet.rows("circuits") == []
        # It knows nothing of what the one before it has seen.
        await fleet.worker("ServiceInstance")
        fleet.clock.advance(60)
        await fleet.front.sweep().once()
        await fleet.until_ready(INSTANCE, *MORE)


async def annotate(fleet: Fleet, kind: Kind, name: str, key: str, value: str) -> None:
    def change(old: Any) -> tuple[Any, tuple[str, ...]]:
        annotations = {**(old.metadata.annotations or {}), key: value}
        return old.model_copy(update={"metadata": old.metadata.model_copy(update={"annotations": annotations})}), ()

    await fleet.change(await fleet.find(kind, name), change)


async def test_a_deletion_by_force_is_not_held_up(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        await annotate(fleet, INSTANCE, NAMES[0], FORCE_DELETE, "true")
        await fleet.delete(instance(NAMES[0], "db"))
        await fleet.until_gone(INSTANCE, NAMES[0])


async def test_an_order_to_try_again_is_carried_out_at_once_and_its_answer_counts(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fail(fleet, scripted)
        await held(fleet, *MORE)
        scripted.always(osb.PROVISION, Reply(201))
        scripted.always(osb.DEPROVISION, Reply(200))
        await annotate(fleet, INSTANCE, MORE[0], RETRY, "now")
        await fleet.until_ready(INSTANCE, *MORE)


async def test_an_order_to_try_the_broker_again_brings_back_what_waits_for_it(fleet: Fleet) -> None:
    async with ScriptedBroker(simple_catalog(simple_service("db", plans=["small"]))) as scripted:
        await fail(fleet, scripted)
        await held(fleet, *MORE)
        scripted.always(osb.PROVISION, Reply(201))
        scripted.always(osb.DEPROVISION, Reply(200))
        await annotate(fleet, CLUSTER_SERVICE_BROKER, "db", RETRY, "now")
        # The classes that this test has put there are not those of the catalog: it is enough that they are tried.
        await fleet.worker("ClusterServiceBroker")

        async def is_closed() -> bool:
            waiting = [row["waiting_for"] for row in await fleet.rows("work_queue")]
            return not await fleet.rows("circuits") and "circuit:broker:/db" not in waiting

        await eventually(is_closed, what="everything to go on")


async def test_the_broker_shows_that_it_is_left_alone_before_what_status_columns_show(fleet: Fleet) -> None:
    async with ScriptedBroker(simple_catalog(simple_service("db", plans=["small"]))) as scripted:
        await fail(fleet, scripted)
        await fleet.worker("ClusterServiceBroker")
        shown = await until_circuit(fleet, "True")
        assert shown.reason == "CircuitOpened"
        assert "calls in a row have failed: Status: 500" in shown.message
        found = await fleet.find(CLUSTER_SERVICE_BROKER, "db")
        assert found.status.conditions[0].type == ConditionType.CIRCUIT_OPEN
        assert found.status.last_condition_state != "CircuitOpen"
        for call in (osb.PROVISION, osb.DEPROVISION):
            scripted.always(call, Reply(200))
        fleet.clock.advance(3600)
        assert (await until_circuit(fleet, "False")).reason == "CircuitClosed"


async def until_circuit(fleet: Fleet, status: str) -> Condition:
    """Wait until the broker's condition has this status; returns it."""
    seen: list[Condition] = []

    async def is_shown() -> bool:
        found = await fleet.find(CLUSTER_SERVICE_BROKER, "db")
        condition = find_condition(found.status.conditions, ConditionType.CIRCUIT_OPEN)
        seen[:] = [condition] if condition else []
        return bool(condition and condition.status == status)

    await eventually(is_shown, what=f"CircuitOpen={status}")
    return seen[0]


async def test_bindings_are_held_back_like_instances(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        names = [f"bound-{number}" for number in range(4)]
        scripted.always(osb.BIND, Reply(500))
        scripted.always(osb.UNBIND, Reply(500))
        await fleet.offer("db", scripted.url, circuit_breaker=FEW, retry_policy=PATIENT)
        await fleet.worker("ServiceInstance")
        await fleet.worker("ServiceBinding")
        await fleet.create(*(instance(name, "db") for name in names))
        await fleet.until_ready(INSTANCE, *names)
        await fleet.create(*(binding(name) for name in names[:3]))
        await eventually(lambda: _is_noted(fleet), what="the circuit to be open")
        await fleet.create(binding(names[3]))
        await fleet.until_condition(BINDING, names[3], HELD)
        scripted.always(osb.BIND, Reply(201, body={"credentials": {"user": "u"}}))
        scripted.always(osb.UNBIND, Reply(200))
        fleet.clock.advance(3600)
        await fleet.until_ready(BINDING, names[3])


async def test_a_rate_limit_spreads_calls_and_loses_none(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        await fleet.offer("db", scripted.url, rate_limit=RateLimit(requests_per_second=0.1, burst=2))
        workers = [await fleet.worker("ServiceInstance") for _ in range(2)]
        names = [f"one-{number}" for number in range(6)]
        await fleet.create(*(instance(name, "db") for name in names))
        await scripted.wait_for(osb.PROVISION, 2)

        async def all_have_a_place() -> bool:
            rows = [row for row in await fleet.rows("work_queue") if row["kind"] == INSTANCE.kind]
            return sum(row["turn_at"] is not None for row in rows) == 4

        await eventually(all_have_a_place, what="the others to have a place in line")
        assert len(scripted.seen_of(osb.PROVISION)) == 2
        waiting = [name for name in names if (await fleet.ready(INSTANCE, name)) == ("False", "BrokerRateLimited")]
        assert len(waiting) == 4
        for made in (3, 4, 5, 6):
            fleet.clock.advance(10)
            await workers[0].sweep().once()
            await scripted.wait_for(osb.PROVISION, made)
            assert len(scripted.seen_of(osb.PROVISION)) == made
        await fleet.until_ready(INSTANCE, *names)


async def test_a_limit_on_concurrency_is_shared_by_all_workers(fleet: Fleet) -> None:
    async with ScriptedBroker() as scripted:
        gate = asyncio.Event()
        scripted.always(osb.PROVISION, Reply(201, gate=gate))
        await fleet.create(broker("other", scripted.url))
        await fleet.offer("db", scripted.url, max_concurrent_requests=4)
        # Each looks when it starts, and the first one would look again only after a quarter of a minute.
        await fleet.worker("ServiceBinding", broker_concurrency=50)
        await fleet.worker("ServiceInstance", broker_concurrency=50)
        names = [f"one-{number}" for number in range(8)]
        await fleet.create(*(instance(name, "db") for name in names))
        await scripted.wait_for(osb.PROVISION, 2)
        await fleet.create(instance("last", "db"))
        assert len(scripted.seen_of(osb.PROVISION)) == 2
        gate.set()
        await fleet.until_ready(INSTANCE, *names, "last")
