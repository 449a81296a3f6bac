"""How deliveries are counted on RabbitMQ, which counts for quorum queues only, and what its own rules take out."""

import asyncio
from typing import Any

import aio_pika
import pytest
from aio_pika import DeliveryMode
from structlog.testing import capture_logs

from chandlery.contracts import topology
from chandlery.contracts.dead_letters import DELIVERIES_HEADER, MOST_DELIVERIES, MOST_FAILURES, TRACE_HEADER
from chandlery.contracts.messages import encode
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, command, letters_in, next_letter
from tests.support.waiting import SOON, eventually

INSTANCES = ("ServiceInstance",)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def lose(rig: RabbitRig, times: int) -> None:
    """Take the next message and die with it, so many times; looked at by nobody who counts."""
    for _ in range(times):
        channel = await rig.connection.channel()
        queue = await channel.get_queue(rig.work_queue(), ensure=False)
        assert await queue.get() is not None
        await channel.close()


async def publish(rig: RabbitRig, **properties: Any) -> None:
    """A command with foreign properties."""
    await rig.bus.publish([command(0)])
    queue = await rig.channel.get_queue(rig.work_queue(), ensure=False)
    await queue.purge()
    commands = await rig.channel.get_exchange(rig.prefix + topology.COMMANDS_EXCHANGE)
    content = aio_pika.Message(encode(command(1)), delivery_mode=DeliveryMode.PERSISTENT, **properties)
    await commands.publish(content, topology.work_queue("ServiceInstance", rig.lane))


async def test_delivery_that_nobody_answered_counts(either: RabbitRig) -> None:
    await either.bus.publish([command(1)])
    await lose(either, 1)

    await either.bus.consume(INSTANCES, either.lane, Recorder(fails=lambda _: True), concurrency=1)
    letter = await next_letter(either)

    assert (letter.reason, letter.history.failures) == ("HandlerFailed", MOST_FAILURES)
    assert letter.history.deliveries == 1 + MOST_FAILURES


async def test_message_that_is_never_answered_is_given_up_on(quorum: RabbitRig) -> None:
    recorder = Recorder()
    await quorum.bus.publish([command(1), command(2)])
    await lose(quorum, MOST_DELIVERIES)

    await quorum.bus.consume(INSTANCES, quorum.lane, recorder, concurrency=1)
    letter = await next_letter(quorum)
    await recorder.until_finished(1)

    assert (letter.reason, letter.history.error) == ("DeliveredTooOften", "")
    assert letter.history.deliveries == MOST_DELIVERIES
    assert recorder.uids == ["uid-2"], "what kills its process is not handled once more"


async def test_message_that_is_never_answered_is_given_up_on_although_a_classic_queue_does_not_count(
    rabbit: RabbitRig,
) -> None:
    await publish(rabbit, headers={DELIVERIES_HEADER: MOST_DELIVERIES - 1})
    await lose(rabbit, 1)
    recorder = Recorder()

    await rabbit.bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    letter = await next_letter(rabbit)

    assert (letter.reason, letter.history.deliveries) == ("DeliveredTooOften", MOST_DELIVERIES)
    assert recorder.seen == []


async def test_every_death_of_a_process_counts_when_the_queue_is_classic(rabbit: RabbitRig, cable: Cable) -> None:
    await rabbit.bus.publish([command(1)])
    deaths = 4
    for _ in range(deaths):
        stuck = Recorder()
        stuck.may_finish.clear()
        dying = await rabbit.another_bus(cable.url)
        await dying.consume(INSTANCES, rabbit.lane, stuck, concurrency=1)
        await stuck.until_seen(1)
        cable.cut()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await dying.close()
        cable.mend()

    await rabbit.bus.consume(INSTANCES, rabbit.lane, Recorder(fails=lambda _: True), concurrency=1)
    letter = await next_letter(rabbit)

    assert letter.history.deliveries == deaths + MOST_FAILURES


async def test_trace_stays_with_the_message_to_the_dead_letters_and_back(either: RabbitRig) -> None:
    await publish(either, headers={TRACE_HEADER: TRACE}, message_id="m-1")
    subscription = await either.bus.consume(INSTANCES, either.lane, Recorder(fails=lambda _: True), concurrency=1)
    [letter] = await letters_in(either, 1)
    await subscription.close()

    await either.letters.replay({letter.id})
    queue = await either.channel.get_queue(either.work_queue(), ensure=False)
    replayed = await queue.get(no_ack=True)

    assert (letter.id, letter.trace) == ("m-1", TRACE)
    assert (replayed.message_id, replayed.headers[TRACE_HEADER]) == ("m-1", TRACE)
    assert not [name for name in replayed.headers if name.startswith("x-chandlery")]


@pytest.mark.parametrize(
    "told",
    [bytearray(b"\xff\xfe"), 7, [TRACE], {"a": TRACE}, "nonsense\x00\n", TRACE[:-1], TRACE + "x" * 60_000, None],
    ids=["binary", "number", "list", "table", "control characters", "too short", "huge", "void"],
)
async def test_message_with_a_broken_trace_is_handled_like_one_without(rabbit: RabbitRig, told: Any) -> None:
    recorder = Recorder(fails=lambda number: number <= MOST_FAILURES)
    await publish(rabbit, headers={TRACE_HEADER: told}, message_id="m-1")
    await rabbit.bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    [letter] = await letters_in(rabbit, 1)

    await rabbit.letters.replay({letter.id})
    await recorder.until_finished(1)

    assert (letter.reason, letter.trace) == ("HandlerFailed", "")
    assert recorder.seen == [command(1)] * (MOST_FAILURES + 1)


async def test_message_without_an_id_has_the_same_one_each_time(either: RabbitRig) -> None:
    await publish(either)
    await either.bus.consume(INSTANCES, either.lane, Recorder(fails=lambda _: True), concurrency=1)

    with capture_logs() as lines:
        letter = await next_letter(either)

    assert letter.id
    assert {line["message_id"] for line in lines if "message_id" in line} <= {letter.id}


async def test_message_that_a_rule_of_the_server_takes_out_is_among_the_dead_letters(either: RabbitRig) -> None:
    """Here by a time limit of its own; a policy of the operator does it with the same words."""
    await publish(either, expiration=0)

    letter = await next_letter(either)

    assert (letter.reason, letter.message) == ("RefusedByServer", command(1))
    assert letter.queue == topology.work_queue("ServiceInstance", either.lane)
    assert letter.last_at is not None


async def test_unreadable_letter_stays_readable_for_a_later_release(either: RabbitRig) -> None:
    subscription = await either.bus.consume(INSTANCES, either.lane, Recorder(), concurrency=1)
    await either.publish_raw(b'{"type": "Unheard", "uid": "u-1"}')
    [letter] = await letters_in(either, 1)
    await subscription.close()

    assert await either.letters.replay({letter.id}) == [letter]

    assert await either.depth(either.work_queue()) == 1
    assert await either.letters.all() == []


async def test_queue_of_dead_letters_is_made_again_when_somebody_deleted_it(either: RabbitRig) -> None:
    await either.bus.consume(INSTANCES, either.lane, Recorder(), concurrency=1)
    queue = either.prefix + topology.DEAD_LETTER_QUEUES["provisioner.instance.reconcile"]
    await either.channel.queue_delete(queue)

    await either.publish_raw(b"?")
    await eventually(lambda: either.exists(queue), what="the queue to be there again")

    assert (await next_letter(either)).reason == "Unreadable"


async def test_message_stays_in_its_queue_when_it_cannot_be_put_with_the_dead_letters(
    rabbit: RabbitRig, cable: Cable
) -> None:
    recorder = Recorder(fails=lambda _: True)
    bus = await rabbit.another_bus(cable.url)
    await bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    bus._publisher._patience_seconds = 0.0

    await rabbit.bus.publish([command(1)])
    await recorder.until_seen(MOST_FAILURES + 2)
    bus._publisher._patience_seconds = SOON
    letter = await next_letter(rabbit)

    assert letter.message == command(1)
