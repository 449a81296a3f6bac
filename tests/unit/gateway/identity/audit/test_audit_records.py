"""What of a request goes into its event."""

import pytest

from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.audit_records import request_uri


@pytest.mark.parametrize("status", [404, 405, 429, 499, 500])
def test_a_path_that_has_come_to_no_route_may_hold_anything(status: int) -> None:
    event = AuditEvent("GET", "/apis/hunter2/secrets", status=status)
    assert request_uri(event) == "/apis/<removed>/secrets"


def test_the_path_of_a_route_stays() -> None:
    event = AuditEvent("GET", "/api/v1/namespaces/team/secrets/login", status=401, route="secrets")
    assert request_uri(event) == "/api/v1/namespaces/team/secrets/login"
