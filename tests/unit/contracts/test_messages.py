"""The messages as they travel: each is read back as it was sent, and what is no message is refused."""

import json
from typing import Any, get_args

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
)

SAMPLES: dict[type, Message] = {
    Reconcile: Reconcile(kind="ServiceInstance", uid="u-1", lane="broker:/demo"),
    ObjectChanged: ObjectChanged(kind="Secret", uid="u-2", reason="ProvisionedSuccessfully"),
    LaneOpened: LaneOpened(lane="broker:team/demo"),
}
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


@given(uid=st.text(), lane=st.text())
def test_any_text_survives_the_journey(uid: str, lane: str) -> None:
    message = Reconcile(kind="ServiceBinding", uid=uid, lane=lane)
    assert decode(encode(message)) == message


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
