"""The id of the trace that is under way: for what is kept to be read later, and for observations that lead to it."""

from opentelemetry.trace import format_trace_id, get_current_span


def current_trace_id() -> str:
    """W3C's trace id, 32 hexadecimal digits; empty if nothing is traced."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""


def sampled_trace_id() -> str:
    """The same if somebody keeps the trace, else empty: an exemplar is to lead somewhere."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.trace_flags.sampled else ""
