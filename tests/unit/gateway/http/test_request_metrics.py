"""What a request becomes in the metrics: never a word that a client has chosen, and a trace if somebody keeps it."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import format_trace_id
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET
from chandlery.telemetry.catalog.api_requests import API_REQUESTS
from chandlery.telemetry.prometheus_metrics import OPENMETRICS, PrometheusMetrics
from chandlery_gateway.http.request_metrics import RequestMetrics
from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.authorization import access_to
from chandlery_gateway.identity.failed_logins import FailedLogins
from tests.support.measured.metrics_page import told

ANN = UserInfo(username="ann")
SECRETS = "/api/v1/namespaces/team/secrets"


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (AuditEvent("GET", SECRETS, route="secrets", status=401), ("401", "secrets", "list")),
        (AuditEvent("GET", SECRETS, status=429), ("429", "secrets", "list")),
        (AuditEvent("GET", SECRETS, status=429, is_stream=True), ("429", "secrets", "watch")),
        (AuditEvent("GET", "/apis/a.b/v1/typed-by-somebody", status=429), ("429", "none", "list")),
        (AuditEvent("GET", "/apis/a.b/v1/secrets", status=404), ("404", "none", "list")),
        (AuditEvent("GET", "/typed/by/somebody", status=404), ("404", "none", "get")),
        (AuditEvent("MKCOL", SECRETS, status=405), ("405", "none", "other")),
        (AuditEvent("PATCH", f"{SECRETS}/x", route="secrets", status=401), ("401", "secrets", "patch")),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else each.path,
)
def test_request_is_counted_by_what_is_served_here(event: AuditEvent, counted: tuple[str, ...]) -> None:
    metrics = PrometheusMetrics()
    RequestMetrics(metrics, FailedLogins()).answered(event)
    assert [key[1:] for key in told(metrics.render()[0].decode()) if key[0] == API_REQUESTS.name] == [counted]


@pytest.mark.parametrize(("sampler", "is_kept"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)], ids=["kept", "not kept"])
def test_duration_leads_to_the_trace_that_is_kept(sampler: Sampler, is_kept: bool) -> None:
    metrics = PrometheusMetrics()
    access = access_to(SECRET, "get", user=ANN, namespace="team", name="x")
    with TracerProvider(sampler=sampler).get_tracer("test").start_as_current_span("request") as span:
        RequestMetrics(metrics, FailedLogins()).answered(
            AuditEvent("GET", f"{SECRETS}/x", route="secrets", access=access, status=200)
        )
    page = metrics.render(OPENMETRICS)[0].decode()
    exemplars = [
        sample.exemplar.labels
        for family in openmetrics(page)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == ([{"trace_id": format_trace_id(span.get_span_context().trace_id)}] if is_kept else [])
