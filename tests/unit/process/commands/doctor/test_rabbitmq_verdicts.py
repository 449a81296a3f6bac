"""What is thought of RabbitMQ: servers, queues and who listens, dead letters."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from chandlery.messaging.rabbitmq.connecting.rabbitmq_facts import RabbitFacts
from chandlery.messaging.rabbitmq.rabbitmq_inspection import QueueFacts
from chandlery.model.faults import Refused, Unavailable
from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import rabbitmq_verdicts
from chandlery.process.commands.doctor.verdicts.rabbitmq_verdicts import Queues

UP: Final = RabbitFacts(address="a:5672", product="RabbitMQ", version=(3, 12, 1))
DOWN: Final = RabbitFacts(
    address="b:5672", fault=Unavailable("RabbitMQ at b:5672 cannot be reached: Connection refused")
)
REFUSED: Final = RabbitFacts(address="c:5671", fault=Refused("c refuses the certificate; check the file"))


def test_servers_that_keep_us_out_are_named() -> None:
    assert rabbitmq_verdicts.servers([UP]).message == "a:5672 (no TLS) lets us in"
    one = rabbitmq_verdicts.servers([UP, DOWN])
    assert (one.state, one.blocks) == (State.WARN, "")
    assert one.message.startswith("1 of 2 servers keep us out: RabbitMQ at b:5672 cannot be reached")


def test_without_any_server_nothing_else_can_be_looked_at() -> None:
    alone = rabbitmq_verdicts.servers([DOWN])
    assert (alone.state, alone.message, alone.blocks) == (
        State.FAIL,
        "RabbitMQ at b:5672 cannot be reached: Connection refused",
        "RabbitMQ cannot be reached",
    )
    assert alone.remedy == "start it, or correct host and port in CHANDLERY_AMQP_URL"
    both = rabbitmq_verdicts.servers([REFUSED, DOWN])
    assert both.message.startswith("none of 2 servers lets us in: c refuses")
    assert both.remedy == "check the file"


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 0), State.OK), ((4, 1), State.OK), ((3, 9, 29), State.FAIL), ((), State.WARN)]
)
def test_versions_that_are_too_old_are_told(version: tuple[int, ...], state: State) -> None:
    assert rabbitmq_verdicts.version([RabbitFacts(address="a", version=version)]).state is state


def test_certificates_of_servers_are_looked_at_one_by_one() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert rabbitmq_verdicts.certificates([UP], now=now).state is State.UNUSED
    dated = [RabbitFacts(address=f"{days}:5671", certificate_until=now + timedelta(days=days)) for days in (400, 10)]
    found = rabbitmq_verdicts.certificates(dated, now=now)
    assert (found.state, "RabbitMQ at 10:5671 expires" in found.message) == (State.WARN, True)


def queues(**counts: tuple[int, int] | None) -> Queues:
    """By service: messages and consumers of its queue; None for one that is not there."""
    names = {
        "provisioner": "provisioner.instance.reconcile.unresolved",
        "demo": "provisioner.instance.reconcile.broker:/demo",
        "binder": "binder.binding.reconcile.unresolved",
        "syncer": "syncer.broker.reconcile.all",
    }
    return {names[name]: QueueFacts(*both) if both else None for name, both in counts.items()}


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (queues(provisioner=(0, 1), binder=(0, 2), syncer=(0, 1)), State.OK, "each of 3 queues"),
        (queues(provisioner=(0, 1), binder=(0, 0), syncer=(0, 1)), State.FAIL, "on the queues of the binder"),
        (queues(provisioner=(0, 1), binder=None, syncer=(0, 0)), State.FAIL, "of the binder and syncer"),
        (queues(provisioner=(0, 1), demo=(5, 0), binder=(0, 1)), State.WARN, "1 of 3 queues: provisioner.instance"),
    ],
)
def test_a_queue_without_a_listener_is_told(found: Queues, state: State, said: str) -> None:
    judged = rabbitmq_verdicts.consumers(found)
    assert (judged.state, said in judged.message) == (state, True)


def test_a_service_that_does_not_listen_is_told_how_it_is_started() -> None:
    found = rabbitmq_verdicts.consumers(queues(provisioner=None, binder=None, syncer=(0, 1)))
    assert found.remedy.startswith("start `chandlery provisioner` and `chandlery binder`")


@pytest.mark.parametrize(("messages", "state"), [(3, State.OK), (5_000, State.WARN), (200_000, State.FAIL)])
def test_a_long_queue_is_told(messages: int, state: State) -> None:
    found = rabbitmq_verdicts.depth(queues(provisioner=(1, 1), demo=(messages, 1)))
    assert (found.state, "in provisioner.instance.reconcile.broker:/demo" in found.message) == (state, True)


def test_queues_that_are_not_there_or_of_another_type_are_named() -> None:
    missing = rabbitmq_verdicts.work_queues(queues(provisioner=(0, 0), binder=None), knows_lanes=False)
    assert (missing.state, "binder.binding.reconcile.unresolved" in missing.message) == (State.WARN, True)
    assert "not known without the database" in missing.message
    other = rabbitmq_verdicts.queue_type(["a"], looked_at=3, wanted="quorum")
    assert (other.state, "(quorum): 1 of 3 queues (a)" in other.message) == (State.WARN, True)
    assert rabbitmq_verdicts.queue_type([], looked_at=3, wanted="quorum").state is State.OK
    assert rabbitmq_verdicts.queue_type([], looked_at=0, wanted="quorum").state is State.UNUSED
    assert rabbitmq_verdicts.exchanges(["chandlery.dead"]).state is State.WARN


def test_dead_letters_are_counted_with_the_command_that_shows_them() -> None:
    found = rabbitmq_verdicts.dead_letters({"binder.binding.reconcile.dead": QueueFacts(2, 0), "x.dead": None})
    assert (found.state, found.message) == (State.WARN, "there are dead letters: 2 in binder.binding.reconcile.dead")
    assert "chandlery deadletters list" in found.remedy
    assert rabbitmq_verdicts.dead_letters({"x.dead": QueueFacts(0, 0)}).state is State.OK


def test_an_alarm_of_the_server_is_told() -> None:
    assert rabbitmq_verdicts.alarms(takes_messages=False).state is State.FAIL
    assert rabbitmq_verdicts.alarms(takes_messages=True).state is State.OK
