"""What the metrics tell of requests: how many of which kind, with which answer, and how long they took.

Comes in: the event of each request at its end, from the pipeline.
Goes out: counts by route, verb and code. None of these is what a client has written: a route is the name of a resource
or of a page that is served here, a verb is one of Kubernetes', and all else is `none` and `other`.
"""

import time
from collections.abc import Iterator
from typing import Final

from chandlery.telemetry.catalog.api_requests import API_REQUEST_SECONDS, API_REQUESTS, AUTHENTICATION_FAILURES
from chandlery.telemetry.current_trace import sampled_trace_id
from chandlery.telemetry.metrics import Metrics, Sample
from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.request_attributes import attributes_of_path
from chandlery_gateway.identity.authentication import LoginFailure
from chandlery_gateway.identity.failed_logins import FailedLogins
from chandlery_gateway.kube.kinds.served_kinds import KNOWN_KINDS

NO_ROUTE: Final = "none"
OTHER_VERB: Final = "other"
_NO_SEAT: Final = 429
_VERBS: Final = frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"})
_RESOURCES: Final = frozenset(kind.plural for kind in KNOWN_KINDS)
"""For requests that are answered before a route is looked for."""


class RequestMetrics:
    """Counts the requests of one gateway."""

    def __init__(self, metrics: Metrics, failed_logins: FailedLogins) -> None:
        self._metrics = metrics
        metrics.collect(AUTHENTICATION_FAILURES, lambda: _failures(failed_logins))

    def answered(self, event: AuditEvent) -> None:
        """One request has been answered; a watch has ended."""
        route, verb = _counted_as(event)
        self._metrics.count(API_REQUESTS, route, verb, str(event.status))
        if not event.is_stream:
            seconds = time.monotonic() - event.began
            self._metrics.observe(API_REQUEST_SECONDS, route, verb, value=seconds, trace_id=sampled_trace_id())


def _counted_as(event: AuditEvent) -> tuple[str, str]:
    """Route and verb."""
    access = event.access
    if access is not None:
        return event.route, access.verb
    asked = attributes_of_path(event.method, event.path, is_watch=event.is_stream)
    verb = asked.verb if asked.verb in _VERBS else OTHER_VERB
    if event.route or event.status != _NO_SEAT:
        return event.route or NO_ROUTE, verb
    return asked.resource if asked.resource in _RESOURCES else NO_ROUTE, verb


def _failures(failed_logins: FailedLogins) -> Iterator[Sample]:
    counts = failed_logins.counts
    return (Sample((str(reason),), counts[reason]) for reason in LoginFailure)
