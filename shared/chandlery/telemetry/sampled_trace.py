"""The trace that an observation belongs to, so that a slow one leads to it from a dashboard."""

from opentelemetry import trace


def sampled_trace_id() -> str:
    """The id of the current trace, as 32 hexadecimal digits; empty if there is none, or nobody keeps it."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.trace_flags.sampled else ""
