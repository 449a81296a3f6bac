"""Sealed notes: what earlier releases stored is read, and what is stored now is what they could read."""

from typing import Any

import pytest

from chandlery_binder.facts.binding_notes import BindingMemory, BindingPurpose
from chandlery_binder.facts.rotation_notes import BackgroundOperation, BackgroundOperationKind, Placement
from chandlery_binder.facts.sealed_binding_notes import NOTHING_SEALED, SealedNotes
from tests.unit.binder.binding_builders import HERE, sent

CREDENTIALS = {"uri": "tcp://rope"}
COPY = {"uri": "tcp://knot"}
PLACE = {"instanceID": "i", "serviceID": "s", "planID": "p", "bindingID": "b-2"}
SENT = sent(BindingPurpose.ROTATE, encoded={"verb": "Bind"}, rotation_request="noon")
NOTED = {"purpose": "rotate", "startedAt": SENT.started_at, "request": {"verb": "Bind"}, "order": "noon"}

OF_EARLIER_RELEASES: list[Any] = [
    pytest.param(None, NOTHING_SEALED, id="nothing"),
    pytest.param(
        {**NOTED, "placement": HERE.to_wire(), "delivered": COPY},
        SealedNotes(request=SENT, delivered=COPY),
        id="a request, beside a copy",
    ),
    pytest.param(
        {"purpose": "inject", "startedAt": 5.0, "placement": PLACE, "request": {}, "credentials": CREDENTIALS},
        SealedNotes(undelivered=CREDENTIALS),
        id="undelivered",
    ),
    pytest.param(
        {"purpose": "inject", "request": {}, "credentials": {}}, SealedNotes(undelivered={}), id="undelivered, empty"
    ),
    pytest.param(
        {"purpose": "delivered", "startedAt": 0.0, "placement": {}, "credentials": COPY, "order": ""},
        SealedNotes(delivered=COPY),
        id="delivered",
    ),
    pytest.param(
        {"purpose": "restore", "credentials": COPY, "delivered": COPY}, SealedNotes(delivered=COPY), id="restored"
    ),
]


@pytest.mark.parametrize(("stored", "notes"), OF_EARLIER_RELEASES)
def test_notes_of_earlier_releases_are_read(stored: dict[str, Any] | None, notes: SealedNotes) -> None:
    assert SealedNotes.from_stored(stored) == notes


@pytest.mark.parametrize(
    "notes",
    [
        NOTHING_SEALED,
        SealedNotes(request=SENT),
        SealedNotes(request=SENT, delivered=COPY),
        SealedNotes(request=sent(BindingPurpose.BIND, granted={"credentials": CREDENTIALS})),
        SealedNotes(request=sent(BindingPurpose.BIND, granted={}), delivered=COPY),
        SealedNotes(undelivered={}),
        SealedNotes(delivered=COPY),
        SealedNotes(delivered={}),
    ],
)
def test_what_is_stored_is_read_again(notes: SealedNotes) -> None:
    assert SealedNotes.from_stored(notes.stored()) == notes


def test_what_is_stored_has_the_keys_that_earlier_releases_read() -> None:
    assert SealedNotes(request=SENT, delivered=COPY).stored() == {
        **NOTED,
        "placement": HERE.to_wire(),
        "delivered": COPY,
    }
    assert SealedNotes(undelivered=CREDENTIALS).stored() == {"purpose": "inject", "credentials": CREDENTIALS}
    assert SealedNotes(delivered=COPY).stored() == {"purpose": "delivered", "credentials": COPY}


def test_memory_of_earlier_releases_is_read() -> None:
    operation = {"kind": "rotate", "placement": PLACE, "order": "noon", "pollUntil": 9.0}
    memory = BindingMemory.model_validate({"lane": "broker:/harbour", "errand": operation})
    placement = Placement(instance_id="i", service_id="s", plan_id="p", binding_id="b-2")
    assert memory.background_operation == BackgroundOperation(
        kind=BackgroundOperationKind.ROTATE, placement=placement, rotation_request="noon", poll_until=9.0
    )
    assert (memory.to_wire()["errand"]["order"], "backgroundOperation" in memory.to_wire()) == ("noon", False)
