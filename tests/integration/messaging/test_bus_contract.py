"""The promises of `chandlery.messaging.bus`, kept by RabbitMQ and by the in-process bus alike."""

import asyncio

import pytest

from chandlery.contracts.dead_letters import MOST_FAILURES
from chandlery.contracts.messages import LaneOpened, Message, ObjectChanged, Reconcile
from chandlery.contracts.topology import work_queue
from chandlery.messaging.bus import Handler
from chandlery.model.faults import Unavailable
from tests.integration.messaging.conftest import Recorder, Rig, command, next_letter
from tests.support.waiting import SOON

INSTANCES = ("ServiceInstance",)


async def test_command_is_kept_when_nobody_consumes_yet(rig: Rig) -> None:
    await rig.bus.publish([command(1), command(2)])
    recorder = Recorder()

    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await recorder.until_finished(2)

    assert recorder.seen == [command(1), command(2)]


async def test_command_reaches_its_consumer_when_that_listens_already(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)

    await rig.bus.publish([command(1)])
    await recorder.until_finished(1)

    assert recorder.seen == [command(1)]


async def test_publish_does_nothing_when_given_nothing(rig: Rig) -> None:
    await rig.bus.publish([])
    await rig.bus.ping()


async def test_lanes_are_separate_when_one_is_blocked(rig: Rig) -> None:
    slow, quick = Recorder(), Recorder()
    slow.may_finish.clear()
    await rig.bus.consume(INSTANCES, rig.lane, slow, concurrency=1)
    await rig.bus.consume(INSTANCES, "other", quick, concurrency=1)

    await rig.bus.publish([command(1), command(2), command(3, lane="other")])
    await quick.until_finished(1)
    await slow.until_seen(1)

    assert quick.uids == ["uid-3"]
    assert slow.uids == ["uid-1"]
    slow.may_finish.set()
    await slow.until_finished(2)


async def test_consumer_hears_several_kinds_when_they_have_different_queues(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.consume(("ServiceInstance", "ServiceBinding"), rig.lane, recorder, concurrency=2)

    await rig.bus.publish([command(1), command(2, kind="ServiceBinding")])
    await recorder.until_finished(2)

    assert sorted(recorder.uids) == ["uid-1", "uid-2"]


async def test_consumer_hears_both_broker_kinds_once_when_they_share_a_queue(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.consume(("ClusterServiceBroker", "ServiceBroker"), rig.lane, recorder, concurrency=4)

    await rig.bus.publish([command(1, kind="ClusterServiceBroker"), command(2, kind="ServiceBroker", lane="unlike")])
    await recorder.until_finished(2)

    assert sorted(recorder.uids) == ["uid-1", "uid-2"]


@pytest.mark.parametrize("kinds", [INSTANCES, ("ServiceInstance", "ServiceBinding")], ids=["one-queue", "two-queues"])
async def test_handlers_run_at_most_concurrency_at_a_time(rig: Rig, kinds: tuple[str, ...]) -> None:
    recorder = Recorder()
    recorder.may_finish.clear()
    await rig.bus.publish([command(number, kind=kinds[number % len(kinds)]) for number in range(20)])

    await rig.bus.consume(kinds, rig.lane, recorder, concurrency=3)
    await recorder.until_seen(3)
    assert recorder.running == 3
    recorder.may_finish.set()
    await recorder.until_finished(20)

    assert recorder.most_running == 3


async def test_work_is_shared_when_two_consumers_listen_to_one_queue(rig: Rig) -> None:
    first, second = Recorder(), Recorder()
    first.may_finish.clear()
    second.may_finish.clear()
    await rig.bus.consume(INSTANCES, rig.lane, first, concurrency=1)
    await rig.bus.consume(INSTANCES, rig.lane, second, concurrency=1)

    await rig.bus.publish([command(1), command(2)])
    await first.until_seen(1)
    await second.until_seen(1)

    assert sorted(first.uids + second.uids) == ["uid-1", "uid-2"]
    first.may_finish.set()
    second.may_finish.set()
    await first.until_finished(1)
    await second.until_finished(1)


async def test_consumer_keeps_no_message_from_others_when_all_its_slots_are_taken(rig: Rig) -> None:
    blocked, other = Recorder(), Recorder()
    blocked.may_finish.clear()
    await rig.bus.consume(INSTANCES, rig.lane, blocked, concurrency=2)
    await rig.bus.publish([command(number) for number in range(10)])
    await blocked.until_seen(2)

    await rig.bus.consume(INSTANCES, rig.lane, other, concurrency=1)
    await other.until_finished(8)

    assert len(blocked.seen) == 2
    blocked.may_finish.set()
    await blocked.until_finished(2)


async def test_message_comes_once_more_when_its_handler_raises(rig: Rig) -> None:
    recorder = Recorder(fails=lambda number: number == 1)
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)

    await rig.bus.publish([command(1)])
    await recorder.until_finished(1)

    assert recorder.uids == ["uid-1", "uid-1"]
    assert await rig.letters.all() == []


async def test_message_goes_to_the_dead_letters_when_its_handler_has_raised_too_often(rig: Rig) -> None:
    recorder = Recorder(fails=lambda number: number <= MOST_FAILURES)
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)

    await rig.bus.publish([command(1)])
    letter = await next_letter(rig)
    await rig.bus.publish([command(2)])
    await recorder.until_finished(1)

    assert letter.message == command(1)
    assert (letter.reason, letter.history.error) == ("HandlerFailed", "LookupError")
    assert recorder.uids == [*["uid-1"] * MOST_FAILURES, "uid-2"]
    assert await rig.letters.all() == []


async def test_handler_has_failed_when_something_it_waits_for_is_cancelled(rig: Rig) -> None:
    calls = 0

    async def handler(_: Message) -> None:
        nonlocal calls
        calls += 1
        abandoned = asyncio.get_running_loop().create_future()
        abandoned.cancel()
        await abandoned

    await rig.bus.consume(INSTANCES, rig.lane, handler, concurrency=1)
    await rig.bus.publish([command(1)])
    letter = await next_letter(rig)

    assert (calls, letter.history.error) == (MOST_FAILURES, "CancelledError")


async def test_event_is_put_with_the_dead_letters_when_its_subscriber_raises_too_often(rig: Rig) -> None:
    recorder = Recorder()

    async def handler(message: Message) -> None:
        if message == LaneOpened(lane="bad"):
            raise LookupError
        await recorder(message)

    await rig.bus.subscribe("#", handler)
    await rig.bus.publish([LaneOpened(lane="bad"), LaneOpened(lane="good")])
    letter = await next_letter(rig)
    await recorder.until_finished(1)

    assert (letter.origin, letter.message) == ("chandlery.events", LaneOpened(lane="bad"))
    assert recorder.seen == [LaneOpened(lane="good")]


async def test_closing_waits_when_a_handler_is_under_way_and_gives_back_the_rest(rig: Rig) -> None:
    first, second = Recorder(), Recorder()
    first.may_finish.clear()
    subscription = await rig.bus.consume(INSTANCES, rig.lane, first, concurrency=2)
    await rig.bus.publish([command(number) for number in range(1, 6)])
    await first.until_seen(2)

    closing = asyncio.create_task(subscription.close())
    await rig.bus.consume(INSTANCES, rig.lane, second, concurrency=1)
    await second.until_finished(3)
    assert not closing.done()
    first.may_finish.set()
    async with asyncio.timeout(SOON):
        await closing
        await subscription.close()

    assert first.finished == 2
    assert sorted(first.uids + second.uids) == [f"uid-{number}" for number in range(1, 6)]
    assert await rig.letters.all() == []


async def test_unstarted_messages_go_back_at_once_when_they_were_fetched_beyond_the_limit(rig: Rig) -> None:
    kinds = ("ServiceInstance", "ServiceBinding")
    first, second = Recorder(), Recorder()
    first.may_finish.clear()
    subscription = await rig.bus.consume(kinds, rig.lane, first, concurrency=1)
    await rig.bus.publish([command(number, kind=kinds[number % 2]) for number in range(6)])
    await first.until_seen(1)

    closing = asyncio.create_task(subscription.close())
    await rig.bus.consume(kinds, rig.lane, second, concurrency=1)
    await second.until_finished(5)
    first.may_finish.set()
    async with asyncio.timeout(SOON):
        await closing

    assert sorted(first.uids + second.uids) == [f"uid-{number}" for number in range(6)]


async def test_bus_waits_for_handlers_when_it_is_closed_and_is_closed_for_good(rig: Rig) -> None:
    recorder = Recorder()
    recorder.may_finish.clear()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await rig.bus.publish([command(1)])
    await recorder.until_seen(1)

    closing = asyncio.create_task(rig.bus.close())
    await asyncio.sleep(0)
    assert not closing.done()
    recorder.may_finish.set()
    async with asyncio.timeout(SOON):
        await closing
        await rig.bus.close()

    assert recorder.finished == 1
    for refused in (
        rig.bus.ping(),
        rig.bus.publish([command(2)]),
        rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1),
        rig.bus.subscribe("#", recorder),
        rig.bus.remove_queues(INSTANCES, rig.lane),
    ):
        with pytest.raises(Unavailable):
            async with asyncio.timeout(SOON):
                await refused


async def test_handlers_are_cancelled_when_the_caller_stops_waiting_for_the_close(rig: Rig) -> None:
    recorder = Recorder()
    recorder.may_finish.clear()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await rig.bus.publish([command(1)])
    await recorder.until_seen(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await rig.bus.close()

    assert (recorder.running, recorder.finished) == (0, 0)
    assert await rig.letters.all() == []


async def test_queues_of_a_lane_are_removed_when_nobody_needs_them(rig: Rig) -> None:
    kinds = ("ServiceInstance", "ServiceBinding")
    subscription = await rig.bus.consume(kinds, rig.lane, Recorder(), concurrency=1)
    assert await rig.work_queues() >= {work_queue(kind, rig.lane) for kind in kinds}
    await subscription.close()

    assert await rig.bus.remove_queues(kinds, rig.lane)
    assert await rig.bus.remove_queues(kinds, rig.lane), "and once more"

    assert await rig.work_queues() == set()


async def test_queue_stays_when_somebody_else_listens_to_the_lane(rig: Rig) -> None:
    recorder = Recorder()
    leaving = await rig.bus.consume(INSTANCES, rig.lane, Recorder(), concurrency=1)
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await leaving.close()

    assert await rig.bus.remove_queues(INSTANCES, rig.lane)
    await rig.bus.publish([command(1)])
    await recorder.until_finished(1)

    assert recorder.uids == ["uid-1"]


async def test_queue_stays_until_the_commands_in_it_are_worked_off(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.publish([command(1), command(2)])

    assert not await rig.bus.remove_queues(INSTANCES, rig.lane)
    subscription = await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await recorder.until_finished(2)
    await subscription.close()

    assert await rig.bus.remove_queues(INSTANCES, rig.lane)
    assert recorder.uids == ["uid-1", "uid-2"]
    assert await rig.work_queues() == set()


async def test_command_is_kept_when_its_lane_was_retired_before(rig: Rig) -> None:
    await (await rig.bus.consume(INSTANCES, rig.lane, Recorder(), concurrency=1)).close()
    await rig.bus.publish([command(1, lane="other")])
    assert await rig.bus.remove_queues(INSTANCES, rig.lane)
    recorder = Recorder()

    await rig.bus.publish([command(2)])
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await recorder.until_finished(1)

    assert recorder.uids == ["uid-2"]


async def test_event_reaches_every_subscriber_but_only_from_then_on(rig: Rig) -> None:
    early, late = Recorder(), Recorder()
    await rig.bus.subscribe("#", early)
    await rig.bus.publish([ObjectChanged(kind="ServiceInstance", uid="first")])
    await early.until_finished(1)

    await rig.bus.subscribe("#", late)
    await rig.bus.publish([ObjectChanged(kind="ServiceInstance", uid="second")])
    await early.until_finished(2)
    await late.until_finished(1)

    assert early.uids == ["first", "second"]
    assert late.uids == ["second"]


async def test_event_reaches_nobody_any_more_when_the_subscription_is_closed(rig: Rig) -> None:
    gone, staying = Recorder(), Recorder()
    subscription = await rig.bus.subscribe("#", gone)
    await rig.bus.subscribe("#", staying)

    await subscription.close()
    await rig.bus.publish([LaneOpened(lane="a")])
    await staying.until_finished(1)

    assert gone.seen == []


async def test_events_come_one_at_a_time_and_in_order(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.subscribe("ObjectChanged.*", recorder)

    for start in range(0, 100, 20):
        for number in range(start, start + 20):
            await rig.bus.publish([ObjectChanged(kind="ServiceInstance", uid=str(number))])
    await recorder.until_finished(100)

    assert recorder.uids == [str(number) for number in range(100)]
    assert recorder.most_running == 1


async def test_commands_are_no_events(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.subscribe("#", recorder)

    await rig.bus.publish([command(1), LaneOpened(lane="a")])
    await recorder.until_finished(1)

    assert recorder.seen == [LaneOpened(lane="a")]


INSTANCE = ObjectChanged(kind="ServiceInstance", uid="1")
BINDING = ObjectChanged(kind="ServiceBinding", uid="2")
LANE = LaneOpened(lane="a")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("#", [INSTANCE, BINDING, LANE]),
        ("*.*", [INSTANCE, BINDING, LANE]),
        ("#.#", [INSTANCE, BINDING, LANE]),
        ("ObjectChanged.*", [INSTANCE, BINDING]),
        ("ObjectChanged.#", [INSTANCE, BINDING]),
        ("*.ServiceBinding", [BINDING]),
        ("#.ServiceBinding", [BINDING]),
        ("ObjectChanged.#.ServiceBinding", [BINDING]),
        ("ObjectChanged.ServiceInstance.#", [INSTANCE]),
        ("LaneOpened.all", [LANE]),
        ("*", []),
        ("ObjectChanged", []),
        ("*.*.*", []),
        ("ObjectChanged.Service*", []),
        ("ObjectChanged.ServiceInstance.*", []),
    ],
)
async def test_subscriber_gets_what_the_pattern_matches(rig: Rig, pattern: str, expected: list[Message]) -> None:
    chosen, everything = Recorder(), Recorder()
    await rig.bus.subscribe(pattern, chosen)
    await rig.bus.subscribe("#", everything)

    await rig.bus.publish([INSTANCE, BINDING, LANE])
    await everything.until_finished(3)
    await chosen.until_finished(len(expected))

    assert sorted(chosen.seen, key=repr) == sorted(expected, key=repr)


async def test_no_message_is_lost_when_a_thousand_are_published_at_once(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=8)

    batches = [[command(number) for number in range(start, start + 100)] for start in range(0, 1000, 100)]
    await asyncio.gather(*(rig.bus.publish(batch) for batch in batches))
    await recorder.until_finished(1000)

    assert len(recorder.seen) == 1000
    assert set(recorder.uids) == {f"uid-{number}" for number in range(1000)}


async def test_handler_may_publish(rig: Rig) -> None:
    recorder = Recorder()
    answering = await _answering(rig, recorder)

    await rig.bus.consume(INSTANCES, rig.lane, answering, concurrency=1)
    await rig.bus.publish([command(1)])
    await recorder.until_finished(1)

    assert recorder.seen == [ObjectChanged(kind="ServiceInstance", uid="uid-1")]


async def _answering(rig: Rig, listener: Recorder) -> Handler:
    await rig.bus.subscribe("ObjectChanged.*", listener)

    async def answer(message: Message) -> None:
        assert isinstance(message, Reconcile)
        await rig.bus.publish([ObjectChanged(kind=message.kind, uid=message.uid)])

    return answer
