"""What becomes of messages that cannot be handled: the same on RabbitMQ, with either type of queue, and in process."""

from datetime import UTC, datetime

import pytest
import structlog
from opentelemetry.trace import SpanContext, get_current_span

from chandlery.contracts.dead_letters import MOST_FAILURES, DeadLetter
from chandlery.contracts.messages import LaneOpened, Message, Reconcile
from tests.integration.messaging.conftest import Recorder, Rig, command, letters_in, next_letter
from tests.support.waiting import eventually

INSTANCES = ("ServiceInstance",)
BINDINGS = ("ServiceBinding",)


async def always(rig: Rig, *messages: Message, kinds: tuple[str, ...] = INSTANCES) -> list[DeadLetter]:
    """Let these messages fail until they are given up on; all letters that there are then."""
    before = len(await rig.letters.all())
    subscription = await rig.bus.consume(kinds, rig.lane, Recorder(fails=lambda _: True), concurrency=1)
    await rig.bus.publish(messages)
    letters = await letters_in(rig, before + len(messages))
    await subscription.close()
    return letters


async def test_letter_says_what_went_wrong_where_when_and_how_often(rig: Rig) -> None:
    before = datetime.now(UTC)
    [letter] = await always(rig, command(1))

    assert (letter.reason, letter.history.error) == ("HandlerFailed", "LookupError")
    assert (letter.history.deliveries, letter.history.failures) == (MOST_FAILURES, MOST_FAILURES)
    assert letter.queue == f"provisioner.instance.reconcile.{rig.lane}"
    assert letter.history.first_at is not None and letter.last_at is not None
    assert before <= letter.history.first_at <= letter.last_at <= datetime.now(UTC)
    assert "hunter2" not in repr(letter) + repr(letter.headers())


async def test_log_lines_of_the_handler_bear_the_id_of_its_message(rig: Rig) -> None:
    bound: list[str] = []

    async def handler(_: Message) -> None:
        bound.append(structlog.contextvars.get_contextvars()["message_id"])
        raise LookupError

    await rig.bus.consume(INSTANCES, rig.lane, handler, concurrency=1)
    await rig.bus.publish([command(1)])
    letter = await next_letter(rig)

    assert bound == [letter.id] * MOST_FAILURES
    assert "message_id" not in structlog.contextvars.get_contextvars()


async def test_failed_message_may_be_handled_by_another_consumer(rig: Rig) -> None:
    clumsy, able = Recorder(fails=lambda _: True), Recorder()
    subscription = await rig.bus.consume(INSTANCES, rig.lane, clumsy, concurrency=1)
    clumsy.may_finish.clear()
    await rig.bus.publish([command(1)])
    await clumsy.until_seen(1)

    await rig.bus.consume(INSTANCES, rig.lane, able, concurrency=1)
    clumsy.may_finish.set()
    await subscription.close()
    await able.until_finished(1)

    assert able.uids == ["uid-1"]
    assert await rig.letters.all() == []


async def test_others_are_handled_while_one_fails_again_and_again(rig: Rig) -> None:
    good = Recorder()

    async def handler(message: Message) -> None:
        if message == command(0):
            raise LookupError
        await good(message)

    await rig.bus.consume(INSTANCES, rig.lane, handler, concurrency=1)
    await rig.bus.publish([command(number) for number in range(10)])
    await good.until_finished(9)
    letter = await next_letter(rig)

    assert letter.message == command(0)


async def test_letters_lie_in_the_queue_of_their_kind_oldest_first(rig: Rig) -> None:
    await always(rig, command(1), command(2))
    await always(rig, command(3, kind="ServiceBinding"), kinds=BINDINGS)

    letters = await letters_in(rig, 3)

    assert [(letter.origin, letter.message) for letter in letters] == [
        ("binder.binding.reconcile", command(3, kind="ServiceBinding")),
        ("provisioner.instance.reconcile", command(1)),
        ("provisioner.instance.reconcile", command(2)),
    ]


async def test_letters_stay_where_they_are_when_they_are_looked_at(rig: Rig) -> None:
    letters = await always(rig, command(1), command(2), command(3))

    assert await rig.letters.all() == letters
    assert await rig.letters.all() == letters


async def test_replayed_message_is_handled_with_a_clean_history(rig: Rig) -> None:
    letters = await always(rig, command(1), command(2))

    replayed = await rig.letters.replay({letters[0].id})
    recorder = Recorder(fails=lambda number: number < MOST_FAILURES)
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await recorder.until_finished(1)

    assert replayed == [letters[0]]
    assert recorder.uids == ["uid-1"] * MOST_FAILURES, "as often as a new one"
    assert await rig.letters.all() == [letters[1]]


async def test_replayed_message_goes_on_in_the_trace_that_it_was_published_in(rig: Rig) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    asked_for = command(1).model_copy(update={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    seen: list[SpanContext] = []

    async def handler(_: Message) -> None:
        seen.append(get_current_span().get_span_context())
        if len(seen) <= MOST_FAILURES:
            raise LookupError

    await rig.bus.consume(INSTANCES, rig.lane, handler, concurrency=1)
    await rig.bus.publish([asked_for])
    with structlog.testing.capture_logs() as lines:
        [letter] = await letters_in(rig, 1)
    await rig.letters.replay({letter.id})
    await eventually(lambda: len(seen) > MOST_FAILURES)

    assert {f"{span.trace_id:032x}" for span in seen} == {trace_id}
    assert len({span.span_id for span in seen}) == MOST_FAILURES + 1, "each delivery has a span of its own"
    assert letter.trace[3:35] == trace_id
    assert {line["trace_id"] for line in lines if line.get("action") == "dead_letter_message"} <= {trace_id}


async def test_replayed_message_that_fails_again_is_the_same_letter(rig: Rig) -> None:
    [letter] = await always(rig, command(1))
    await rig.bus.consume(INSTANCES, rig.lane, Recorder(fails=lambda _: True), concurrency=1)

    await rig.letters.replay({letter.id})
    [again] = await letters_in(rig, 1)

    assert (again.id, again.message, again.history.deliveries) == (letter.id, command(1), MOST_FAILURES)
    assert again.last_at is not None and letter.last_at is not None
    assert again.last_at > letter.last_at


async def test_replayed_message_finds_its_way_when_its_queue_is_gone(rig: Rig) -> None:
    [letter] = await always(rig, command(1))
    assert await rig.bus.remove_queues(INSTANCES, rig.lane)

    await rig.letters.replay({letter.id})
    recorder = Recorder()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await recorder.until_finished(1)

    assert recorder.seen == [command(1)]


async def test_replayed_event_reaches_who_subscribes_now(rig: Rig) -> None:
    event = LaneOpened(lane="a")
    subscription = await rig.bus.subscribe("LaneOpened.#", Recorder(fails=lambda _: True))
    await rig.bus.publish([event])
    [letter] = await letters_in(rig, 1)
    await subscription.close()
    recorder = Recorder()
    await rig.bus.subscribe("#", recorder)

    assert await rig.letters.replay({letter.id}) == [letter]
    await recorder.until_finished(1)

    assert recorder.seen == [event]


async def test_event_that_one_subscriber_fails_on_reaches_the_others_once(rig: Rig) -> None:
    clumsy, good = Recorder(fails=lambda _: True), Recorder()
    await rig.bus.subscribe("#", clumsy)
    await rig.bus.subscribe("#", good)

    await rig.bus.publish([LaneOpened(lane="a")])
    await letters_in(rig, 1)
    await rig.bus.publish([LaneOpened(lane="b")])
    await good.until_finished(2)

    assert good.seen == [LaneOpened(lane="a"), LaneOpened(lane="b")]
    assert clumsy.seen[:MOST_FAILURES] == [LaneOpened(lane="a")] * MOST_FAILURES


@pytest.mark.parametrize(
    "evil", [LaneOpened(lane="broker:/evil\n..//"), LaneOpened(lane="a" * 5000)], ids=["line break", "too long"]
)
async def test_event_that_no_process_of_ours_sends_is_put_with_the_dead_letters_and_handled_by_nobody(
    rig: Rig, evil: LaneOpened
) -> None:
    recorder = Recorder()
    await rig.bus.subscribe("#", recorder)

    await rig.bus.publish([evil, LaneOpened(lane="good")])
    [letter] = await letters_in(rig, 1)
    await recorder.until_finished(1)

    assert (letter.reason, letter.history.error, letter.message) == ("Unreadable", "UnreadableMessage", None)
    assert recorder.seen == [LaneOpened(lane="good")]


async def test_command_that_no_process_of_ours_sends_is_put_with_the_dead_letters_and_handled_by_nobody(
    rig: Rig,
) -> None:
    recorder = Recorder()
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    evil = command(1).model_copy(update={"uid": "a\0b", "lane": rig.lane})

    await rig.bus.publish([evil, command(2, lane=rig.lane)])
    [letter] = await letters_in(rig, 1)
    await recorder.until_finished(1)

    assert letter.reason == "Unreadable"
    assert recorder.uids == ["uid-2"]


async def test_dropped_letter_is_gone_and_no_other(rig: Rig) -> None:
    letters = await always(rig, command(1), command(2), command(3))

    assert await rig.letters.drop({letters[1].id}) == [letters[1]]

    assert await rig.letters.all() == [letters[0], letters[2]]
    assert await rig.letters.drop({letter.id for letter in letters}) == [letters[0], letters[2]]
    assert await rig.letters.all() == []


async def test_nothing_happens_to_letters_when_the_id_is_unknown(rig: Rig) -> None:
    letters = await always(rig, command(1))

    assert await rig.letters.replay({"unknown"}) == []
    assert await rig.letters.drop({"unknown"}) == []

    assert await rig.letters.all() == letters


async def test_bus_goes_on_when_a_handler_gives_up_on_everything(rig: Rig) -> None:
    """A hundred messages that all fail end where they belong, and nothing is left half done."""
    handled = 0

    async def handler(message: Message) -> None:
        nonlocal handled
        handled += 1
        assert isinstance(message, Reconcile)
        raise LookupError

    await rig.bus.consume(INSTANCES, rig.lane, handler, concurrency=8)
    await rig.bus.publish([command(number) for number in range(100)])
    await eventually(lambda: handled >= 100 * MOST_FAILURES)
    letters = await letters_in(rig, 100)

    assert {letter.message for letter in letters} == {command(number) for number in range(100)}
    assert handled == 100 * MOST_FAILURES
