"""An event has two sets of names and one content."""

import json
from typing import Any

import pytest

from chandlery.model.faults import BadRequest
from chandlery.model.objects.core import Event
from chandlery.model.objects.kinds import EVENT
from chandlery_gateway.kube.body.decoding import FieldValidation, decode_object
from chandlery_gateway.kube.kinds.regarding_events import (
    REGARDING_EVENT,
    RegardingEvent,
    as_involved,
    as_regarding,
    regarding_path,
)
from chandlery_gateway.kube.kinds.served_kinds import KNOWN_KINDS
from chandlery_gateway.kube.openapi import discovery
from chandlery_gateway.kube.query.selectors import parse_field_selector, selectable_fields

CORE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "db.1", "namespace": "team"},
    "involvedObject": {"kind": "ServiceInstance", "name": "db", "namespace": "team"},
    "reason": "Provisioning",
    "message": "It is being made",
    "source": {"component": "manager"},
    "firstTimestamp": "2030-01-31T12:00:00Z",
    "lastTimestamp": "2030-01-31T12:01:00Z",
    "count": 3,
    "type": "Normal",
    "eventTime": "2030-01-31T12:00:00.000123Z",
    "reportingComponent": "manager",
    "reportingInstance": "manager-1",
    "action": "Provision",
    "related": {"kind": "Secret", "name": "key"},
    "series": {"count": 3, "lastObservedTime": "2030-01-31T12:01:00.000000Z"},
}
NEWER = {
    **{key: CORE[key] for key in ("kind", "metadata", "reason", "type", "eventTime", "reportingInstance", "action")},
    **{key: CORE[key] for key in ("related", "series")},
    "apiVersion": "events.k8s.io/v1",
    "regarding": CORE["involvedObject"],
    "note": "It is being made",
    "reportingController": "manager",
    "deprecatedSource": {"component": "manager"},
    "deprecatedFirstTimestamp": "2030-01-31T12:00:00Z",
    "deprecatedLastTimestamp": "2030-01-31T12:01:00Z",
    "deprecatedCount": 3,
}


def decode(document: dict[str, Any]) -> Event:
    body = json.dumps(document).encode()
    decoded = decode_object(REGARDING_EVENT, body, "application/json", field_validation=FieldValidation.STRICT)
    assert isinstance(decoded.object, Event)
    # Who owns which fields is kept in core terms, as what is stored.
    assert decoded.document == as_involved(document)
    return decoded.object


def test_every_field_has_a_name_in_both_groups_and_loses_nothing_on_the_way() -> None:
    assert as_regarding(CORE) == NEWER
    assert as_involved(NEWER) == CORE
    assert Event.model_validate(CORE).to_wire() == CORE
    assert RegardingEvent.model_validate(NEWER).to_wire() == NEWER
    assert {field.alias for field in RegardingEvent.model_fields.values()} == set(NEWER)
    assert {field.alias for field in Event.model_fields.values()} == set(CORE)


def test_an_event_of_the_newer_group_is_decoded_as_what_is_stored() -> None:
    assert decode(NEWER) == Event.model_validate(CORE)


@pytest.mark.parametrize("field", ["involvedObject", "message", "count"])
def test_names_of_the_core_group_are_unknown_in_the_newer_one(field: str) -> None:
    with pytest.raises(BadRequest, match=f'unknown field "{field}"'):
        decode({**NEWER, field: CORE[field]})


def test_events_are_selected_by_the_names_of_either_group() -> None:
    for path in selectable_fields(EVENT):
        (core,) = parse_field_selector(EVENT, f"{path}=x").requirements
        (newer,) = parse_field_selector(REGARDING_EVENT, f"{path}=x").requirements
        (own,) = parse_field_selector(REGARDING_EVENT, f"{regarding_path(path)}=x").requirements
        assert (core.key, newer) == (path, own)
    with pytest.raises(BadRequest, match="field label not supported"):
        parse_field_selector(EVENT, "regarding.name=db")


def test_discovery_tells_of_the_events_in_both_groups() -> None:
    for group_version in ("v1", "events.k8s.io/v1"):
        document = discovery.resources(group_version, KNOWN_KINDS)
        (entry,) = (entry for entry in document["resources"] if entry["name"] == "events")
        assert entry["shortNames"] == ["ev"]
        assert {"get", "list", "watch", "create"} <= set(entry["verbs"])
