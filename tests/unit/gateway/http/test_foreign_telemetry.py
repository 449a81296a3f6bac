"""FastAPI has telemetry of its own, which a variable of the environment turns on: here it stays off."""

from typing import Any, Final

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chandlery.telemetry.tracing.tracing import IDS_ONLY
from chandlery_gateway.app import Application
from chandlery_gateway.identity.failed_logins import FailedLogins

REQUEST: Final = {
    "type": "http",
    "method": "GET",
    "path": "/hello",
    "raw_path": b"/hello",
    "query_string": b"token=hunter2",
    "headers": [],
    "scheme": "http",
    "http_version": "1.1",
}


async def _serve(app: Application) -> list[dict[str, Any]]:
    """From the start of the process to its end, with a request in between; what was sent."""
    sent: list[dict[str, Any]] = []
    phases = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

    async def lives() -> dict[str, Any]:
        message = next(phases)
        if message["type"] == "lifespan.shutdown":
            await app({**REQUEST}, asks, send)
        return message

    async def asks() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": {}}, lives, send)
    return sent


async def test_fastapis_own_telemetry_stays_off_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    recorded, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(recorded))
    # The library's way lets nobody take it back.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    app = Application(failed_logins=FailedLogins(), hsts_seconds=0, tracing=IDS_ONLY)
    app.add_api_route("/hello", lambda: "hello")

    sent = await _serve(app)

    assert [each["type"] for each in sent] == [
        *("lifespan.startup.complete", "http.response.start", "http.response.body", "lifespan.shutdown.complete")
    ]
    assert sent[1]["status"] == 200
    assert recorded.get_finished_spans() == ()
    assert len(provider._active_span_processor._span_processors) == 1, "nothing else listens"
    assert not isinstance(metrics.get_meter_provider(), MeterProvider)
    assert not isinstance(_logs.get_logger_provider(), LoggerProvider)
