"""Without the SDK every span has ids, and the trace of a client goes on."""

from typing import Final

import pytest
from opentelemetry.trace import get_current_span

from chandlery.telemetry.current_trace import current_trace_id
from chandlery.telemetry.tracing.spans import current
from chandlery.telemetry.tracing.traceparent import ROOT, below, span_context_of, traceparent_of
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing

TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT: Final = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def test_a_span_without_a_parent_begins_a_trace_that_nobody_records() -> None:
    first, second = (IDS_ONLY.tracer.start_span("x", context=ROOT).get_span_context() for _ in range(2))
    assert first.is_valid
    assert second.is_valid
    assert first.trace_id != second.trace_id
    assert not first.trace_flags.sampled


def test_a_span_of_a_clients_trace_keeps_its_flags_and_has_an_id_of_its_own() -> None:
    parent = IDS_ONLY.come_with([(b"traceparent", TRACEPARENT.encode())])
    with current(IDS_ONLY.tracer.start_span("x", context=parent)) as span:
        assert current_trace_id() == TRACE_ID
        headers: dict[str, str] = {}
        IDS_ONLY.go_out(headers)
    context = span.get_span_context()
    assert headers == {"traceparent": f"00-{TRACE_ID}-{context.span_id:016x}-01"}
    assert context.span_id != 0x00F067AA0BA902B7
    assert not get_current_span().get_span_context().is_valid


def test_brokers_are_told_nothing_where_that_is_not_wanted() -> None:
    tracing, headers = Tracing(goes_on=False), dict[str, str]()
    with current(tracing.tracer.start_span("x", context=ROOT)):
        tracing.go_out(headers)
    assert headers == {}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"accept", b"*/*")],
        [(b"traceparent", b"nonsense")],
        [(b"traceparent", TRACEPARENT.encode()), (b"traceparent", TRACEPARENT.encode())],
        [(b"traceparent", TRACEPARENT.encode() + b"-" + b"x" * 2_000)],
        [(b"traceparent", TRACEPARENT.encode()), (b"tracestate", b"a=" + b"b" * 2_000)],
        [(b"traceparent", b"\xff\xfe")],
    ],
    ids=["nothing", "others", "nonsense", "twice", "long", "a long state", "no text"],
)
def test_what_is_no_trace_of_a_client_begins_one(headers: list[tuple[bytes, bytes]]) -> None:
    assert IDS_ONLY.come_with(headers) == ROOT


@pytest.mark.parametrize("text", [None, "", "nonsense", TRACEPARENT + "-more", TRACEPARENT.upper(), "00-0-0-01"])
def test_a_line_of_another_form_is_no_parent(text: str | None) -> None:
    assert not span_context_of(text).is_valid
    assert below(span_context_of(text)) == ROOT


def test_a_line_is_read_as_it_was_written() -> None:
    assert traceparent_of(span_context_of(TRACEPARENT)) == TRACEPARENT
    assert traceparent_of(span_context_of(None)) is None
