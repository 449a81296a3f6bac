"""What a client's `traceparent` does to the span of its request: it is continued, or only linked to."""

from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBasedTraceIdRatio, Sampler

from chandlery.process.choices.tracing_choice import make_tracing
from chandlery.settings.settings import load_settings
from chandlery.telemetry.tracing.tracing import Tracing
from chandlery_gateway.http.request_traces import RequestTraces

TRACE_ID: Final = 1
"""The lowest one: a sampler by ratio always takes it."""
SPAN_ID: Final = 7
SAMPLED: Final = f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-01"


async def recorded(sampler: Sampler, *, continues_clients: bool, traceparent: str = SAMPLED) -> list[ReadableSpan]:
    """What is recorded of a request with this header."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def nothing(*_given: Any) -> Any:
        return None

    tracing = Tracing(provider.get_tracer("test"), continues_clients=continues_clients)
    headers = [(b"traceparent", traceparent.encode())] if traceparent else []
    scope = {"type": "http", "method": "GET", "path": "/apis", "query_string": b"", "scheme": "http"}
    await RequestTraces(app, tracing=tracing)({**scope, "headers": headers}, nothing, nothing)
    return list(exporter.get_finished_spans())


async def test_a_clients_trace_goes_on_with_what_it_has_decided() -> None:
    [span] = await recorded(ParentBasedTraceIdRatio(0.0), continues_clients=True)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.links) == (TRACE_ID, SPAN_ID, ())


async def test_where_clients_are_not_trusted_no_flag_and_no_id_of_theirs_has_a_trace_recorded() -> None:
    assert await recorded(ParentBasedTraceIdRatio(0.0), continues_clients=False) == []

    [span] = await recorded(ALWAYS_ON, continues_clients=False)
    context = span.get_span_context()
    assert span.parent is None
    assert context is not None
    assert context.trace_id != TRACE_ID
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(TRACE_ID, SPAN_ID)]


@pytest.mark.parametrize("traceparent", ["", "00-nonsense-01"])
async def test_without_a_trace_of_the_client_there_is_nothing_to_link_to(traceparent: str) -> None:
    [span] = await recorded(ALWAYS_ON, continues_clients=False, traceparent=traceparent)
    assert (span.parent, span.links) == (None, ())


@pytest.mark.parametrize(("said", "is_continued"), [("", True), ("true", True), ("false", False)])
def test_a_setting_decides(monkeypatch: pytest.MonkeyPatch, said: str, is_continued: bool) -> None:
    if said:
        monkeypatch.setenv("CHANDLERY_TRACES_FROM_CLIENTS", said)
    made = make_tracing(load_settings(), service="gateway", owner="me", at_end=print, environment={})
    assert made.continues_clients is is_continued
