"""The messages as they travel: each is read back as it was sent, and what is no message is refused."""

import json
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.contracts.messages import (
    UNRESOLVED_LANE,
    LaneOpened,
    Message,
    ObjectChanged,
    Reconcile,
    UnreadableMessage,
    decode,
    encode,
    encode_whole,
)
from chandlery.model.objects.kinds import KINDS
from chandlery.reconcile.reconcile_result import broker_key

SAMPLES: dict[type, Message] = {
    Reconcile: Reconcile(kind="ServiceInstance", uid="u-1", lane="broker:/demo"),
    ObjectChanged: ObjectChanged(kind="Secret", uid="u-2", reason="ProvisionedSuccessfully"),
    LaneOpened: LaneOpened(lane="broker:team/demo"),
}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
READABLE = {"type": "Reconcile", "kind": "ServiceInstance", "uid": "u-1", "lane": "unresolved"}


def test_there_is_a_sample_of_every_message() -> None:
    assert set(SAMPLES) == set(get_args(Message))


@pytest.mark.parametrize("message", SAMPLES.values(), ids=lambda message: message.type)
def test_message_is_read_back_as_it_was_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", SAMPLES.values(), ids=lambda message: message.type)
def test_message_is_a_json_object_that_names_its_type(message: Message) -> None:
    wire: dict[str, Any] = json.loads(encode(message))
    assert wire["type"] == type(message).__name__
    assert all(isinstance(value, str) for value in wire.values()), "messages carry identity, never state"


LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
BROKER_NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)


@given(uid=st.uuids(), namespace=st.none() | LABELS, name=BROKER_NAMES)
def test_lane_of_every_service_broker_survives_the_journey(uid: UUID, namespace: str | None, name: str) -> None:
    message = Reconcile(kind="ServiceBinding", uid=str(uid), lane=broker_key(namespace, name))
    assert decode(encode(message)) == message


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_survives_the_journey(kind: str) -> None:
    message = ObjectChanged(kind=kind, uid="u-1")
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(LaneOpened(lane="broker:/evil\n..//"), id="lane with a line break"),
        pytest.param(LaneOpened(lane=""), id="no lane"),
        pytest.param(LaneOpened(lane="broker:/"), id="broker without a name"),
        pytest.param(LaneOpened(lane="broker:/two/parts"), id="broker with a slash"),
        pytest.param(LaneOpened(lane="broker:/Demo"), id="name that no object can have"),
        pytest.param(LaneOpened(lane="broker:team.a/demo"), id="namespace that cannot be"),
        pytest.param(LaneOpened(lane=f"broker:{'n' * 64}/demo"), id="namespace too long"),
        pytest.param(LaneOpened(lane=f"broker:/{'n' * 254}"), id="broker's name too long"),
        pytest.param(LaneOpened(lane="broker:/demo\u202e"), id="lane that turns a terminal around"),
        pytest.param(LaneOpened(lane="größe"), id="lane beyond ASCII"),
        pytest.param(Reconcile(kind="ServiceInstance", uid="", lane="all"), id="no uid"),
        pytest.param(Reconcile(kind="ServiceInstance", uid="a\0b"), id="uid with a null"),
        pytest.param(Reconcile(kind="ServiceInstance", uid="a" * 129), id="uid too long"),
        pytest.param(Reconcile(kind="service instance", uid="u-1"), id="kind that cannot be"),
        pytest.param(ObjectChanged(kind="Secret.#", uid="u-1"), id="kind that is a pattern"),
        pytest.param(ObjectChanged(kind="Secret", uid="u-1", reason="\x1b[2J"), id="reason with an escape"),
    ],
)
def test_message_with_a_field_that_no_object_of_ours_can_have_is_refused(message: Message) -> None:
    with pytest.raises(UnreadableMessage, match="has a form that no"):
        decode(encode(message))


@pytest.mark.parametrize(
    "told",
    [
        7,
        None,
        [],
        {"a": "b"},
        "",
        "nonsense",
        TRACE.upper(),
        f"{TRACE}-more",
        f"01{TRACE[2:]}",
        "x" * 3_000,
        f"{TRACE}\n",
    ],
    ids=[
        "number",
        "null",
        "list",
        "object",
        "empty",
        "word",
        "capitals",
        "more",
        "another version",
        "long",
        "line break",
    ],
)
def test_command_with_a_trace_of_another_form_is_read_without_it(told: Any) -> None:
    message = decode(json.dumps(READABLE | {"traceparent": told}).encode())
    assert message == Reconcile(kind="ServiceInstance", uid="u-1")
    assert Reconcile(kind="ServiceInstance", uid="u-1", traceparent=told) == message


def test_command_is_kept_with_its_trace_and_travels_without_it_in_its_body() -> None:
    message = Reconcile(kind="ServiceInstance", uid="u-1", traceparent=TRACE)
    assert decode(encode_whole(message)) == message
    assert TRACE.encode() not in encode(message)


def test_message_that_is_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UnreadableMessage, match="at most 4096 bytes"):
        decode(encode(LaneOpened(lane="a" * 4096)))


def test_command_without_a_lane_is_for_the_unresolved_one() -> None:
    message = decode(b'{"type": "Reconcile", "kind": "ServiceInstance", "uid": "u-1"}')
    assert message == Reconcile(kind="ServiceInstance", uid="u-1", lane=UNRESOLVED_LANE)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b'{"type": "Reconcile"', id="half a message"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"Reconcile"', id="a string"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(json.dumps({**READABLE, "type": "Explode"}).encode(), id="unknown type"),
        pytest.param(json.dumps({**READABLE, "type": None}).encode(), id="type null"),
        pytest.param(b'{"kind": "ServiceInstance", "uid": "u-1"}', id="no type"),
        pytest.param(b'{"type": "Reconcile", "kind": "ServiceInstance"}', id="field missing"),
        pytest.param(json.dumps({**READABLE, "uid": 7}).encode(), id="field of another type"),
        pytest.param(json.dumps({**READABLE, "status": {}}).encode(), id="field too many"),
    ],
)
def test_unreadable_message_is_refused(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode(payload)


@given(payload=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode(payload)
