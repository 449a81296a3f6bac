"""With the SDK: what a span tells of what was raised, and what becomes of spans that do not arrive."""

import socket
from collections.abc import Sequence

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chandlery.telemetry.tracing.sdk_tracing import SdkTracing
from chandlery.telemetry.tracing.spans import current
from chandlery.telemetry.tracing.told_exporter import ToldExporter
from chandlery.telemetry.tracing.trace_plan import TracePlan


def test_what_was_raised_is_told_by_its_class_and_never_by_its_words() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(ValueError, match="hunter2"), current(provider.get_tracer("x").start_span("x")):
        raise ValueError("the password is hunter2")
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert not span.status.is_ok
    assert "hunter2" not in (span.to_json() or "")


class Flaky(SpanExporter):
    """Fails as it is told to."""

    def __init__(self, *outcomes: bool) -> None:
        self._outcomes = list(outcomes)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self._outcomes.pop(0) else SpanExportResult.FAILURE


def test_spans_that_do_not_arrive_are_told_of_once_and_once_more_when_they_do() -> None:
    exporter = ToldExporter(Flaky(True, False, False, False, True, True), place="collector:4318")
    with structlog.testing.capture_logs() as lines:
        for _ in range(6):
            exporter.export(())
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert "collector:4318" in lines[0]["event"]


async def test_the_end_of_a_process_waits_only_so_long_for_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://user:hunter2@127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        sdk = SdkTracing(TracePlan(exporters=("otlp",), endpoint=url), resource={"service.name": "x"})
        sdk.tracer(version="1").start_span("x").end()
        with structlog.testing.capture_logs() as lines:
            await sdk.close(seconds=0.1)
    told = [line["event"] for line in lines]
    assert any("could not be sent within 0.1 seconds" in line for line in told)
    assert "hunter2" not in repr(told)


def test_spans_that_do_not_arrive_after_the_end_are_not_told_of_once_more() -> None:
    exporter = ToldExporter(Flaky(False), place="collector:4318")
    exporter.shutdown()
    with structlog.testing.capture_logs() as lines:
        exporter.export(())
    assert lines == []
