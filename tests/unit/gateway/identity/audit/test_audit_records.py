"""What of a request goes into its event."""

import pytest

from chandlery.model.json.json_text import read_json
from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.audit_records import entry_of, request_uri
from chandlery_gateway.identity.audit.policy.audit_policy import COMPLETE, Level
from chandlery_gateway.identity.audit.request_attributes import attributes_of


@pytest.mark.parametrize("status", [404, 405, 429, 499, 500])
def test_a_path_that_has_come_to_no_route_may_hold_anything(status: int) -> None:
    event = AuditEvent("GET", "/apis/hunter2/secrets", status=status)
    assert request_uri(event) == "/apis/<removed>/secrets"


def test_the_path_of_a_route_stays() -> None:
    event = AuditEvent("GET", "/api/v1/namespaces/team/secrets/login", status=401, route="secrets")
    assert request_uri(event) == "/api/v1/namespaces/team/secrets/login"


@pytest.mark.parametrize(
    ("forwarded", "sources"),
    [
        ((), ["10.0.0.9"]),
        (("192.0.2.1", "203.0.113.7"), ["192.0.2.1", "203.0.113.7", "10.0.0.9"]),
        (("203.0.113.7", "10.0.0.9"), ["203.0.113.7", "10.0.0.9"]),
    ],
)
def test_sources_are_those_of_the_way_and_at_the_end_whoever_was_connected(
    forwarded: tuple[str, ...], sources: list[str]
) -> None:
    event = AuditEvent("GET", "/version", address="10.0.0.9", forwarded=forwarded)
    entry = entry_of(event, attributes_of(event), stage=COMPLETE, level=Level.METADATA)
    assert read_json(entry.event)["sourceIPs"] == sources
