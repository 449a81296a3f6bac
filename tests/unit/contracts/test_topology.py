"""Routing: every message has a way, every lane its queue, every kind that has to agree to its end an owner."""

import re

import pytest

from chandlery.contracts import topology
from chandlery.contracts.messages import UNRESOLVED_LANE, LaneOpened, Message, ObjectChanged, Reconcile
from chandlery.model.objects.kinds import KINDS
from chandlery.reconcile.reconcile_result import broker_key

LANES = (UNRESOLVED_LANE, broker_key(None, "demo"), broker_key("team", "demo"), broker_key("team", "other"))
SHARDED = sorted(kind for kind, queue in topology.WORK_QUEUES.items() if queue not in topology.UNSHARDED_QUEUES)
UNSHARDED = sorted(set(topology.WORK_QUEUES) - set(SHARDED))


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", sorted(topology.WORK_QUEUES))
def test_command_goes_to_the_queue_of_its_kind_and_lane(kind: str, lane: str) -> None:
    way = topology.route(Reconcile(kind=kind, uid="u-1", lane=lane))
    assert way == topology.Route(topology.COMMANDS_EXCHANGE, topology.work_queue(kind, lane))


def test_command_for_a_kind_that_nobody_looks_after_is_refused() -> None:
    with pytest.raises(KeyError):
        topology.route(Reconcile(kind="Secret", uid="u-1"))


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (ObjectChanged(kind="ServiceInstance", uid="u-1"), "ObjectChanged.ServiceInstance"),
        (ObjectChanged(kind="Secret", uid="u-1", reason="x"), "ObjectChanged.Secret"),
        (LaneOpened(lane="broker:/demo.with.dots"), "LaneOpened.all"),
    ],
)
def test_event_goes_under_its_type_and_kind(message: Message, key: str) -> None:
    assert topology.route(message) == topology.Route(topology.EVENTS_EXCHANGE, key)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_routing_key_of_every_kind_is_two_words(kind: str) -> None:
    # Subscribers ask for `ObjectChanged.*`: a dot in a kind would hide its events.
    assert len(topology.route(ObjectChanged(kind=kind, uid="u-1")).routing_key.split(".")) == 2


@pytest.mark.parametrize("lane", ["broker:/evil\n..//", "größe", "", "a b", "broker:/" + "x" * 5000, "\udcff#"])
def test_queue_of_every_lane_has_a_name_that_the_message_bus_takes(lane: str) -> None:
    # Such a lane comes from nobody, but one that cannot be declared would hold up whatever waits behind it.
    name = topology.work_queue("ServiceInstance", lane)
    assert re.fullmatch("[-A-Za-z0-9._:@#/]{1,200}", name)
    assert name != topology.work_queue("ServiceInstance", f"{lane}x")


def test_no_two_lanes_share_a_queue_where_service_brokers_could_keep_each_other_waiting() -> None:
    queues = [topology.work_queue(kind, lane) for kind in SHARDED for lane in LANES]
    assert len(set(queues)) == len(SHARDED) * len(LANES)
    assert SHARDED == ["ServiceBinding", "ServiceInstance"]


@pytest.mark.parametrize("kind", UNSHARDED)
def test_unsharded_kind_has_one_queue_whatever_the_lane(kind: str) -> None:
    assert len({topology.work_queue(kind, lane) for lane in LANES}) == 1


def test_every_unsharded_queue_is_a_work_queue() -> None:
    assert set(topology.WORK_QUEUES.values()) >= topology.UNSHARDED_QUEUES


@pytest.mark.parametrize("kind", sorted(kind.kind for kind in KINDS.values() if kind.has_finalizer))
def test_kind_with_a_finalizer_has_a_work_queue(kind: str) -> None:
    assert kind in topology.WORK_QUEUES, "nobody would ever let such an object go"


def test_every_work_queue_is_for_a_kind_that_exists() -> None:
    assert set(topology.WORK_QUEUES) <= set(KINDS)


@pytest.mark.parametrize("kind", sorted(topology.WORK_QUEUES))
@pytest.mark.parametrize(
    "lane", [broker_key("n" * 63, "b" * 253), "broker:/" + "\N{ANCHOR}" * 200], ids=["longest", "wide"]
)
def test_name_of_a_queue_is_short_enough_for_amqp_whatever_the_lane(kind: str, lane: str) -> None:
    # AMQP 0-9-1, 4.2.5.3: a short string has at most 255 bytes; an installation's prefix goes in front.
    assert len(topology.work_queue(kind, lane).encode()) <= 200


def test_two_long_lanes_that_begin_alike_have_queues_of_their_own() -> None:
    lanes = [broker_key("n" * 63, "b" * 252 + last) for last in "xy"]
    first, second = (topology.work_queue("ServiceInstance", lane) for lane in lanes)
    assert first != second
    assert topology.work_queue("ServiceInstance", lanes[0]) == first


def test_lane_of_usual_length_can_be_read_in_the_name_of_its_queue() -> None:
    lane = broker_key("n" * 63, "b" * 63)
    assert topology.work_queue("ServiceInstance", lane) == f"provisioner.instance.reconcile.{lane}"


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", sorted(topology.WORK_QUEUES))
def test_dead_letters_of_a_kind_have_one_queue_whatever_the_lane(kind: str, lane: str) -> None:
    origin = topology.origin_of(topology.work_queue(kind, lane))
    assert origin == topology.WORK_QUEUES[kind]
    assert topology.DEAD_LETTER_QUEUES[origin] == f"{origin}.dead"


def test_dead_letters_of_subscribers_share_a_queue() -> None:
    assert topology.origin_of(topology.event_queue("gateway/host/1/x", "tag")) == topology.EVENTS_EXCHANGE
    assert topology.DEAD_LETTER_QUEUES[topology.EVENTS_EXCHANGE] == "chandlery.events.dead"


def test_no_queue_of_dead_letters_is_a_work_queue() -> None:
    queues = {topology.work_queue(kind, lane) for kind in topology.WORK_QUEUES for lane in LANES}
    assert not queues & set(topology.DEAD_LETTER_QUEUES.values())


def test_queue_of_a_subscriber_says_whose_it_is_and_is_short_enough() -> None:
    assert topology.event_queue("gateway/host/1/x", "tag") == "chandlery.events.gateway/host/1/x.tag"
    assert len(topology.event_queue("g" * 300, "12345678").encode()) <= 200
