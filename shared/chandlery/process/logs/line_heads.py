"""What every line is given first: level, module, the trace it is part of; and it is counted."""

import sys
from collections.abc import MutableMapping
from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from chandlery.process.logs.line_counts import counts


def begin_line(logger: Any, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of structlog; `logger` has the name of the module."""
    counts[method] += 1
    entry["level"] = method
    entry["logger"] = logger.name
    span = get_current_span().get_span_context()
    if span.is_valid and "trace_id" not in entry:
        entry["trace_id"] = format_trace_id(span.trace_id)
        entry["span_id"] = format_span_id(span.span_id)
    if entry.get("exc_info"):
        _name_error(entry)
    return entry


def _name_error(entry: MutableMapping[str, Any]) -> None:
    given = entry["exc_info"]
    error = given if isinstance(given, BaseException) else (sys.exc_info() if given is True else given)[1]
    if error is not None:
        entry.setdefault("error_type", type(error).__qualname__)
        entry.setdefault("error", str(error))
