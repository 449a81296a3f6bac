"""What only RabbitMQ can do to us: break the connection, refuse the login, drop a queue, deliver foreign bytes."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelAccessRefused
from structlog.testing import capture_logs
from yarl import URL

from chandlery.contracts import topology
from chandlery.contracts.messages import LaneOpened, Message
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import CLOSE_SECONDS
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.messaging.rabbitmq.rabbitmq_declarer import RabbitDeclarer
from chandlery.messaging.rabbitmq.rabbitmq_delivery import MOST_KEPT_BYTES
from chandlery.messaging.rabbitmq.rabbitmq_errors import foreign_errors_translated
from chandlery.messaging.rabbitmq.rabbitmq_topology import UNUSED_QUEUE_LIFE, QueueSpec
from chandlery.model.faults import ConfigurationFault, Unavailable
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, command, next_letter
from tests.support.waiting import SOON, eventually

INSTANCES = ("ServiceInstance",)


async def _publish_stubbornly(bus: RabbitBus, messages: list[Message]) -> None:
    """As the relay does: again, until it is taken."""

    async def is_taken() -> bool:
        try:
            await bus.publish(messages)
        except Unavailable:
            return False
        return True

    await eventually(is_taken, what="the bus to take it")


async def test_bytes_go_to_the_dead_letters_at_once_when_they_are_no_message(rabbit: RabbitRig) -> None:
    recorder = Recorder()
    await rabbit.bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)

    await rabbit.publish_raw(b'{"type":"Reconcile","password":"hunter2"}')
    letter = await next_letter(rabbit)
    await rabbit.bus.publish([command(1)])
    await recorder.until_finished(1)

    assert letter.body == b'{"type":"Reconcile","password":"hunter2"}'
    assert (letter.reason, letter.history.error, letter.history.deliveries) == ("Unreadable", "UnreadableMessage", 1)
    assert recorder.uids == ["uid-1"]


async def test_body_that_is_far_too_long_is_kept_from_its_beginning_only(rabbit: RabbitRig) -> None:
    await rabbit.bus.consume(INSTANCES, rabbit.lane, Recorder(), concurrency=1)

    await rabbit.publish_raw(b"[" * 1_000_000)
    letter = await next_letter(rabbit)

    assert (letter.reason, letter.body) == ("Unreadable", b"[" * MOST_KEPT_BYTES)


async def test_command_whose_queue_is_refused_keeps_no_other_from_being_sent(
    rabbit: RabbitRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare = RabbitDeclarer.queue

    async def refuse_some(self: RabbitDeclarer, connection: AbstractConnection, spec: QueueSpec) -> None:
        if spec.routing_key.endswith(".bad"):
            raise ChannelAccessRefused("ACCESS_REFUSED")
        await declare(self, connection, spec)

    monkeypatch.setattr(RabbitDeclarer, "queue", refuse_some)
    recorder = Recorder()
    await rabbit.bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    with pytest.raises(Unavailable):
        await rabbit.bus.publish([command(1, lane="bad"), command(2, lane=rabbit.lane)])
    await recorder.until_finished(1)

    assert recorder.uids == ["uid-2"]


async def test_message_is_persistent_json_and_says_what_it_is(rabbit: RabbitRig) -> None:
    await rabbit.bus.publish([command(1)])

    queue = await rabbit.channel.get_queue(rabbit.work_queue())
    got = await queue.get(no_ack=True)

    assert (got.delivery_mode, got.content_type) == (DeliveryMode.PERSISTENT, "application/json")
    assert got.type == "Reconcile"
    assert len(got.message_id or "") == 32
    assert isinstance(got.timestamp, datetime)
    assert abs((got.timestamp - datetime.now(UTC)).total_seconds()) < 60


async def test_work_queue_is_durable_and_expires_when_long_unused(rabbit: RabbitRig) -> None:
    await rabbit.bus.publish([command(1)])

    # Declaring again succeeds only with exactly these properties.
    declared = await rabbit.channel.declare_queue(
        rabbit.work_queue(),
        durable=True,
        arguments={
            "x-dead-letter-exchange": rabbit.prefix + topology.DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": "provisioner.instance.reconcile",
            "x-expires": int(UNUSED_QUEUE_LIFE.total_seconds()) * 1000,
        },
    )

    assert declared.declaration_result.message_count == 1


async def test_queue_is_declared_again_when_it_expired_since_the_last_publish(rabbit: RabbitRig) -> None:
    await rabbit.bus.publish([command(1)])
    await rabbit.channel.queue_delete(rabbit.work_queue())

    await rabbit.bus.publish([command(2), command(3)])

    assert await rabbit.depth(rabbit.work_queue()) == 2


async def test_consumer_listens_again_when_its_queue_was_deleted(rabbit: RabbitRig) -> None:
    recorder = Recorder()
    await rabbit.bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)

    await rabbit.channel.queue_delete(rabbit.work_queue())
    await rabbit.bus.publish([command(1)])

    await recorder.until_finished(1)


async def test_message_is_delivered_again_when_the_handler_was_cancelled_by_the_end_of_the_bus(
    rabbit: RabbitRig,
) -> None:
    stuck, other = Recorder(), Recorder()
    stuck.may_finish.clear()
    dying = await rabbit.another_bus()
    await dying.consume(INSTANCES, rabbit.lane, stuck, concurrency=1)
    await rabbit.bus.publish([command(1)])
    await stuck.until_seen(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await dying.close()
    await rabbit.bus.consume(INSTANCES, rabbit.lane, other, concurrency=1)

    await other.until_finished(1)
    assert other.uids == ["uid-1"]


async def test_handler_goes_on_and_its_message_comes_again_when_the_connection_breaks(
    rabbit: RabbitRig, cable: Cable
) -> None:
    recorder = Recorder()
    recorder.may_finish.clear()
    bus = await rabbit.another_bus(cable.url)
    await bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=1)
    await rabbit.bus.publish([command(1), command(2)])
    await recorder.until_seen(1)

    cable.cut()
    cable.mend()
    await _until_reachable(bus)
    recorder.may_finish.set()
    await recorder.until_finished(3)

    assert sorted(recorder.uids) == ["uid-1", "uid-1", "uid-2"]
    assert recorder.most_running == 1
    assert await rabbit.letters.all() == []


async def test_message_that_waited_for_a_slot_is_handled_once_when_the_connection_breaks(
    rabbit: RabbitRig, cable: Cable
) -> None:
    recorder = Recorder()
    recorder.may_finish.clear()
    bus = await rabbit.another_bus(cable.url)
    await bus.consume(("ServiceInstance", "ServiceBinding"), rabbit.lane, recorder, concurrency=1)
    await rabbit.bus.publish([command(1), command(2), command(3, kind="ServiceBinding")])
    await recorder.until_seen(1)

    cable.cut()
    cable.mend()
    await _until_reachable(bus)
    recorder.may_finish.set()
    await recorder.until_finished(4)
    await rabbit.bus.publish([command(4)])
    await recorder.until(lambda: "uid-4" in recorder.uids and recorder.running == 0)

    assert len(recorder.seen) == 5
    assert set(recorder.uids) == {"uid-1", "uid-2", "uid-3", "uid-4"}


async def test_nothing_is_lost_when_the_connection_breaks_again_and_again(rabbit: RabbitRig, cable: Cable) -> None:
    recorder = Recorder()
    bus = await rabbit.another_bus(cable.url)
    await bus.consume(INSTANCES, rabbit.lane, recorder, concurrency=4)

    for start in range(0, 400, 20):
        publishing = asyncio.create_task(
            _publish_stubbornly(bus, [command(number) for number in range(start, start + 20)])
        )
        if start % 100 == 0:
            # In the middle of things: some confirmed, some acknowledged, some neither.
            await recorder.until_seen(len(recorder.seen) + 1)
            cable.cut()
            cable.mend()
        await publishing
    expected = {f"uid-{number}" for number in range(400)}
    await recorder.until(lambda: set(recorder.uids) == expected)
    await recorder.until(lambda: recorder.running == 0)

    assert recorder.most_running <= 4
    assert await rabbit.letters.all() == []


async def test_events_arrive_again_when_the_connection_was_lost(rabbit: RabbitRig, cable: Cable) -> None:
    recorder = Recorder()
    bus = await rabbit.another_bus(cable.url)
    await bus.subscribe("#", recorder)

    cable.cut()
    cable.mend()

    async def is_heard() -> bool:
        await rabbit.bus.publish([LaneOpened(lane="a")])
        return bool(recorder.seen)

    await eventually(is_heard, what="an event after the loss")

    assert recorder.seen[0] == LaneOpened(lane="a")


async def test_publish_waits_when_the_connection_is_being_opened_again(rabbit: RabbitRig, cable: Cable) -> None:
    bus = await rabbit.another_bus(cable.url)
    cable.cut()
    await _until_unreachable(bus)

    publishing = asyncio.create_task(bus.publish([command(1)]))
    await asyncio.sleep(0)
    cable.mend()
    async with asyncio.timeout(SOON):
        await publishing

    assert await rabbit.depth(rabbit.work_queue()) == 1


async def test_publish_is_refused_within_its_patience_when_the_connection_stays_lost(
    rabbit: RabbitRig, cable: Cable
) -> None:
    bus = await rabbit.another_bus(cable.url, patience_seconds=0.1)
    cable.cut()
    await _until_unreachable(bus)

    began = time.monotonic()
    with pytest.raises(Unavailable):
        await bus.publish([command(1)])

    assert time.monotonic() - began < 2


@pytest.mark.parametrize("breaks", [True, False], ids=["breaks", "hangs"])
async def test_publish_is_refused_when_no_confirm_comes_because_the_connection(
    rabbit: RabbitRig, cable: Cable, breaks: bool
) -> None:
    bus = await rabbit.another_bus(cable.url, patience_seconds=SOON if breaks else 0.1)
    await bus.publish([command(1)])
    cable.jam()

    began = time.monotonic()
    publishing = asyncio.create_task(bus.publish([command(2)]))
    await asyncio.sleep(0)
    if breaks:
        cable.cut()
    with pytest.raises(Unavailable):
        await publishing
    cable.cut()

    assert time.monotonic() - began < 2


async def test_ping_tells_when_the_server_is_away_and_when_it_is_back(rabbit: RabbitRig, cable: Cable) -> None:
    bus = await rabbit.another_bus(cable.url)
    await bus.ping()

    cable.cut()
    await _until_unreachable(bus)
    cable.mend()

    await _until_reachable(bus)


async def test_ping_answers_the_others_when_one_caller_gives_up(rabbit: RabbitRig) -> None:
    await rabbit.bus.ping()
    impatient, patient = (asyncio.create_task(rabbit.bus.ping()) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()
    async with asyncio.timeout(SOON):
        await patient
        await rabbit.bus.publish([command(1)])

    assert impatient.cancelled()
    assert await rabbit.depth(rabbit.work_queue()) == 1


async def test_close_takes_seconds_only_when_the_server_hangs(rabbit: RabbitRig, cable: Cable) -> None:
    bus = await rabbit.another_bus(cable.url)
    await bus.consume(INSTANCES, rabbit.lane, Recorder(), concurrency=1)
    cable.jam()

    async with asyncio.timeout(4 * CLOSE_SECONDS):
        await bus.close()


async def test_start_waits_and_says_so_when_the_server_is_not_there_yet(rabbit: RabbitRig, cable: Cable) -> None:
    cable.cut()
    bus = await rabbit.another_bus(cable.url, start=False)

    with capture_logs() as lines:
        starting = asyncio.create_task(bus.start())
        await eventually(lambda: len(lines) >= 2)
        cable.mend()
        async with asyncio.timeout(SOON):
            await starting
    await bus.ping()

    assert lines[0]["log_level"] == "warning"
    assert lines[0]["action"] == "connect_amqp"
    address = f"127.0.0.1:{URL(cable.url).port}"
    assert str(lines[0]["event"]).startswith(f"RabbitMQ at {address} is not reachable (")
    assert "; trying again in " in str(lines[0]["event"])
    assert str(URL(cable.url).password) not in repr(lines)


async def test_start_says_that_the_login_is_refused_when_the_password_is_wrong(rabbit: RabbitRig) -> None:
    url = str(URL(rabbit.url).with_password("hunter2"))
    bus = await rabbit.another_bus(url, start=False)

    with capture_logs() as lines:
        starting = asyncio.create_task(bus.start())
        await eventually(lambda: bool(lines))
    starting.cancel()
    await bus.close()

    assert "the user name or the password is refused" in str(lines[0]["event"])
    assert "hunter2" not in repr(lines)


async def test_consume_is_refused_when_the_bus_is_closed_while_it_waits_for_a_connection(
    rabbit: RabbitRig, cable: Cable
) -> None:
    bus = await rabbit.another_bus(cable.url)
    cable.cut()
    await _until_unreachable(bus)
    waiting = asyncio.create_task(bus.consume(INSTANCES, rabbit.lane, Recorder(), concurrency=1))
    await asyncio.sleep(0)

    async with asyncio.timeout(SOON):
        await bus.close()
        with pytest.raises(Unavailable):
            await waiting


async def test_installations_do_not_hear_each_other_when_their_prefixes_differ(
    rabbit: RabbitRig, neighbour: RabbitRig
) -> None:
    ours, theirs = Recorder(), Recorder()
    for rig, recorder in ((rabbit, ours), (neighbour, theirs)):
        await rig.bus.subscribe("LaneOpened.*", recorder)
        await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)

    await rabbit.bus.publish([LaneOpened(lane="ours"), command(1)])
    await neighbour.bus.publish([LaneOpened(lane="theirs"), command(2)])
    await ours.until_finished(2)
    await theirs.until_finished(2)

    assert sorted(ours.seen, key=repr) == sorted([LaneOpened(lane="ours"), command(1)], key=repr)
    assert sorted(theirs.seen, key=repr) == sorted([LaneOpened(lane="theirs"), command(2)], key=repr)


@pytest.mark.parametrize("url", ["", "127.0.0.1", "http://u:hunter2@h/", "amqp://u:hunter2@h:port/", "amqp:///x"])
def test_bus_refuses_a_url_that_is_not_amqp_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        RabbitBus(url, connection_name="test")

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_cancellation_is_a_lost_connection_when_nobody_asked_for_it() -> None:
    """The client ends waiting calls like this when heartbeats stay away."""
    abandoned = asyncio.get_running_loop().create_future()
    abandoned.cancel()

    with pytest.raises(Unavailable), foreign_errors_translated():
        await abandoned


async def test_cancellation_stays_one_when_it_is_our_own() -> None:
    async def wait() -> None:
        with foreign_errors_translated():
            await asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def _until_unreachable(bus: RabbitBus) -> None:
    await _until_ping_answers(bus, False)
    # A ping can learn of the loss a moment earlier than those who wait for the next connection.
    await eventually(lambda: not bus._link.is_up and not bus._listening.is_up)


async def _until_reachable(bus: RabbitBus) -> None:
    await _until_ping_answers(bus, True)


async def _until_ping_answers(bus: RabbitBus, expected: bool) -> None:
    async def answers() -> bool:
        try:
            await bus.ping()
        except Unavailable:
            return False
        return True

    await eventually(answers, lambda seen: seen is expected, what="the answer to a ping")
