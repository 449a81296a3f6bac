"""When a message is given up on, and what of it survives the journey through the headers of a foreign server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.contracts import topology
from chandlery.contracts.dead_letters import (
    DELIVERIES_HEADER,
    FAILURES_HEADER,
    MOST_DELIVERIES,
    MOST_FAILURES,
    TRACE_HEADER,
    DeadLetter,
    History,
    Reason,
)
from chandlery.contracts.messages import ObjectChanged, Reconcile, encode

NOW = datetime(2026, 11, 22, 12, 30, 15, 250, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
COMMAND = Reconcile(kind="ServiceInstance", uid="u-1", lane="broker:/demo")
EVENT = ObjectChanged(kind="ServiceInstance", uid="u-1")


def letter(body: bytes = encode(COMMAND), **given_facts: Any) -> DeadLetter:
    facts: dict[str, Any] = {
        "id": "m-1",
        "queue": "provisioner.instance.reconcile.broker:/demo",
        "routing_key": "provisioner.instance.reconcile.broker:/demo",
        "reason": Reason.HANDLER_FAILED,
        "history": History().failed(LookupError("password=hunter2"), NOW),
        "last_at": NOW + timedelta(minutes=1),
        "trace": TRACE,
    }
    return DeadLetter(body=body, **facts | given_facts)


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        pytest.param(History(), None, id="new"),
        pytest.param(History(deliveries=1, failures=1), None, id="failed once"),
        pytest.param(History(deliveries=MOST_FAILURES - 1, failures=MOST_FAILURES - 1), None, id="one failure left"),
        pytest.param(
            History(deliveries=MOST_FAILURES, failures=MOST_FAILURES), Reason.HANDLER_FAILED, id="failed too often"
        ),
        pytest.param(History(deliveries=MOST_DELIVERIES - 1), None, id="one delivery left"),
        pytest.param(History(deliveries=MOST_DELIVERIES), Reason.DELIVERED_TOO_OFTEN, id="never answered"),
        pytest.param(
            History(deliveries=MOST_DELIVERIES, failures=MOST_FAILURES), Reason.HANDLER_FAILED, id="both: the handler"
        ),
    ],
)
def test_message_is_given_up_on_when_it_has_come_often_enough(history: History, verdict: Reason | None) -> None:
    assert history.verdict == verdict


def test_history_keeps_the_first_time_and_the_last_error() -> None:
    history = History().lost(NOW).failed(KeyError("a"), NOW + timedelta(seconds=1))
    history = history.failed(ValueError("b"), NOW + timedelta(seconds=2))
    assert history == History(deliveries=3, failures=2, error="ValueError", first_at=NOW)


def test_history_never_holds_what_an_exception_said() -> None:
    history = History().failed(LookupError("password=hunter2"), NOW)
    assert "hunter2" not in repr(history) + repr(history.headers())


def test_new_message_has_no_headers() -> None:
    assert History().headers() == {}
    assert History.of({}) == History()


@given(deliveries=st.integers(0, 1000), failures=st.integers(0, 1000), error=st.text(), at=st.none() | st.just(NOW))
def test_history_is_read_back_as_it_was_sent(deliveries: int, failures: int, error: str, at: datetime | None) -> None:
    history = History(deliveries=deliveries, failures=failures, error=error, first_at=at)
    assert History.of(history.headers()) == history


@pytest.mark.parametrize(
    ("told", "trace"),
    [
        (TRACE, TRACE),
        (TRACE.encode(), TRACE),
        (b"\xff\xfe", ""),
        (7, ""),
        ({"a": "b"}, ""),
        ("nonsense\n", ""),
        (TRACE + "-" + "x" * 100_000, ""),
    ],
    ids=["sound", "bytes", "binary", "number", "table", "line break", "huge"],
)
def test_trace_of_a_letter_is_one_or_none(told: Any, trace: str) -> None:
    read = DeadLetter.of({TRACE_HEADER: told}, id="m-1", body=encode(COMMAND), origin="o")
    assert read.trace == trace
    assert read.headers().get(TRACE_HEADER, "") == trace


FOREIGN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from([*letter().headers(), "x-death"])


@given(headers=st.dictionaries(NAMES, FOREIGN))
def test_foreign_headers_are_read_without_a_fault(headers: dict[str, Any]) -> None:
    read = DeadLetter.of(headers, id="m-1", body=b"", origin="binder.binding.reconcile")
    assert read.history.deliveries >= 0
    assert read.last_at is None or read.last_at.tzinfo is not None


def test_negative_counts_and_flags_are_no_counts() -> None:
    assert History.of({DELIVERIES_HEADER: -3, FAILURES_HEADER: True}) == History()


@pytest.mark.parametrize("body", [encode(COMMAND), encode(EVENT), b"\xff not a message"], ids=["command", "event", "?"])
def test_letter_is_read_back_as_it_was_put_there(body: bytes) -> None:
    put = letter(body)
    assert DeadLetter.of(put.headers(), id="m-1", body=body, origin=put.origin) == put


def test_letter_does_not_show_its_body_in_logs() -> None:
    assert "hunter2" not in repr(letter(b"password=hunter2"))


def test_letter_of_the_server_itself_is_understood() -> None:
    """RabbitMQ writes `x-death` when a policy takes a message out of its queue."""
    death = {
        "reason": "expired",
        "queue": "binder.binding.reconcile.broker:/demo",
        "routing-keys": ["binder.binding.reconcile.broker:/demo"],
        "time": NOW,
        "count": 1,
    }
    read = DeadLetter.of({"x-death": [death]}, id="m-1", body=encode(COMMAND), origin="binder.binding.reconcile")
    assert (read.reason, read.queue, read.last_at) == (Reason.REFUSED_BY_SERVER, death["queue"], NOW)
    assert read.routing_key == death["queue"]


@pytest.mark.parametrize(
    ("given_letter", "way"),
    [
        pytest.param(letter(), topology.route(COMMAND), id="command"),
        pytest.param(letter(encode(EVENT), queue="chandlery.events.x"), topology.route(EVENT), id="event"),
        pytest.param(letter(queue="?", routing_key=""), topology.route(COMMAND), id="what it says is enough"),
        pytest.param(
            letter(b"?"),
            topology.Route(topology.COMMANDS_EXCHANGE, "provisioner.instance.reconcile.broker:/demo"),
            id="unreadable command",
        ),
        pytest.param(
            letter(b"?", queue="chandlery.events.x", routing_key="Unheard.all"),
            topology.Route(topology.EVENTS_EXCHANGE, "Unheard.all"),
            id="unreadable event",
        ),
        pytest.param(letter(b"?", routing_key=""), None, id="nothing is known"),
        pytest.param(
            letter(encode(Reconcile(kind="Secret", uid="u-1")), routing_key=""), None, id="for a kind without an owner"
        ),
    ],
)
def test_letter_knows_its_way_back(given_letter: DeadLetter, way: topology.Route | None) -> None:
    assert given_letter.way_back == way
