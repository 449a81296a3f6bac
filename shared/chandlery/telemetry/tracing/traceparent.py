"""A span's place in its trace as one line of text, for whatever goes on elsewhere: `traceparent` of W3C Trace Context.

The form in which messages, rows of work and requests to service brokers carry it. Pure.
"""

import re
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
ROOT: Final = Context()
"""What is started in it begins a trace of its own."""


def traceparent_of(span: SpanContext) -> str | None:
    """`00-<trace id>-<span id>-<flags>`; None of a span that has no ids."""
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def span_context_of(traceparent: str | None) -> SpanContext:
    """The inverse; an invalid context for what has another form."""
    match = _FORM.fullmatch(traceparent) if traceparent else None
    if match is None:
        return INVALID_SPAN_CONTEXT
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def below(parent: SpanContext) -> Context:
    """What is started in it continues the trace of the parent; below none it begins its own."""
    return set_span_in_context(NonRecordingSpan(parent), ROOT) if parent.is_valid else ROOT


def current_traceparent() -> str | None:
    """That of the span in which this is done; None outside of any."""
    return traceparent_of(get_current_span().get_span_context())
