"""What is counted of messages: the same on both buses. Of its connections RabbitMQ tells besides."""

from chandlery.contracts.dead_letters import MOST_FAILURES
from chandlery.contracts.messages import LaneOpened, ObjectChanged, Reconcile
from chandlery.contracts.topology import DEAD_LETTER_QUEUES
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, Rig, command, letters_in
from tests.support.measured.metrics_page import Told, told
from tests.support.waiting import eventually

INSTANCES = ("ServiceInstance",)
HANDLED, PUBLISHED = "chandlery_messages_handled_total", "chandlery_messages_published_total"
CONNECTED, LOST = ("chandlery_bus_connected",), ("chandlery_bus_connections_lost_total",)


def page(metrics: PrometheusMetrics) -> Told:
    return told(metrics.render()[0].decode())


async def counted(rig: Rig, expected: Told) -> None:
    """Wait until all that is told of messages is this; when a handler returns its message is not counted yet."""
    names = {key[0] for key in expected}
    await eventually(
        lambda: {key: value for key, value in page(rig.metrics).items() if key[0] in names},
        lambda seen: seen == expected,
        what=f"{expected} to be counted",
    )


async def test_messages_are_counted_by_type_and_by_what_came_of_them(rig: Rig) -> None:
    recorder = Recorder(fails=lambda number: number == 1)
    await rig.bus.consume(INSTANCES, rig.lane, recorder, concurrency=1)
    await rig.bus.subscribe("#", Recorder())

    await rig.bus.publish([command(1), ObjectChanged(kind="ServiceInstance", uid="uid-1"), LaneOpened(lane=rig.lane)])

    await counted(
        rig,
        {
            (PUBLISHED, "confirmed", "Reconcile"): 1,
            (PUBLISHED, "confirmed", "ObjectChanged"): 1,
            (PUBLISHED, "confirmed", "LaneOpened"): 1,
            ("chandlery_publish_duration_seconds_count",): 1,
            (HANDLED, "ServiceInstance", "given back", "Reconcile"): 1,
            (HANDLED, "ServiceInstance", "done", "Reconcile"): 1,
            (HANDLED, "ServiceInstance", "done", "ObjectChanged"): 1,
            (HANDLED, "", "done", "LaneOpened"): 1,
            ("chandlery_message_handle_duration_seconds_count", "ServiceInstance", "Reconcile"): 2,
            ("chandlery_message_handle_duration_seconds_count", "ServiceInstance", "ObjectChanged"): 1,
            ("chandlery_message_handle_duration_seconds_count", "", "LaneOpened"): 1,
        },
    )


async def test_what_is_given_up_on_is_counted_once_and_lies_with_the_dead_letters(rig: Rig) -> None:
    await rig.bus.consume(INSTANCES, rig.lane, Recorder(fails=lambda _: True), concurrency=1)
    await rig.bus.publish([command(1)])
    await letters_in(rig, 1)

    await counted(
        rig,
        {
            (HANDLED, "ServiceInstance", "given back", "Reconcile"): MOST_FAILURES - 1,
            (HANDLED, "ServiceInstance", "given up", "Reconcile"): 1,
        },
    )
    queue = DEAD_LETTER_QUEUES["provisioner.instance.reconcile"]
    assert await rig.bus.count_dead_letters() == {**dict.fromkeys(DEAD_LETTER_QUEUES.values(), 0), queue: 1}


async def test_a_message_that_cannot_be_read_is_counted_without_what_it_says_it_is(rig: Rig) -> None:
    await rig.bus.consume(INSTANCES, rig.lane, Recorder(), concurrency=1)
    await rig.bus.publish([Reconcile(kind="ServiceInstance", uid="no uid", lane=rig.lane)])
    await letters_in(rig, 1)

    await counted(rig, {(HANDLED, "", "given up", "unreadable"): 1})


async def test_kinds_that_do_not_exist_do_not_become_labels(rig: Rig) -> None:
    recorder = Recorder()
    await rig.bus.subscribe("ObjectChanged.#", recorder)
    await rig.bus.publish([ObjectChanged(kind=f"Kind{letter}", uid="uid") for letter in "ABC"])
    await recorder.until_finished(3)

    await counted(rig, {(HANDLED, "", "done", "ObjectChanged"): 3})


async def test_a_bus_that_is_closed_takes_nothing_and_says_so(rig: Rig) -> None:
    assert page(rig.metrics)[CONNECTED] == 1
    await rig.bus.close()
    assert page(rig.metrics)[CONNECTED] == 0


async def test_connections_that_break_are_counted_and_nothing_is_connected_meanwhile(
    rabbit: RabbitRig, cable: Cable
) -> None:
    metrics = PrometheusMetrics()
    await rabbit.another_bus(cable.url, metrics=metrics)

    cable.cut()
    # One to publish, one to listen.
    await eventually(lambda: page(metrics).get(LOST) == 2, what="both connections to be lost")
    assert page(metrics)[CONNECTED] == 0

    cable.mend()
    await eventually(lambda: page(metrics)[CONNECTED] == 1, what="the bus to be connected again")
