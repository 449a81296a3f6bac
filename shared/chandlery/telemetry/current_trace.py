"""The id of the trace that is under way, for what is kept of it to be read later: events and the operation history."""

from opentelemetry.trace import format_trace_id, get_current_span


def current_trace_id() -> str:
    """W3C's trace id, 32 hexadecimal digits; empty if nothing is traced."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""
