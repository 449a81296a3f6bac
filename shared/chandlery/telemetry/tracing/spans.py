"""A span while it is the current one: for log lines, events and whatever is started meanwhile.

The library's own ways record what is raised with its text and its traceback, which may quote data. Here the class of it
is all that is told.
"""

from contextvars import Token
from types import TracebackType
from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, StatusCode, get_current_span, set_span_in_context

ERROR_TYPE: Final = "error.type"


def fail(span: Span, why: str) -> None:
    """It has not come to what it was for; `why` is a word of few, such as a class of errors."""
    if span.is_recording():
        span.set_attribute(ERROR_TYPE, why)
        span.set_status(StatusCode.ERROR)


def note(what: str, **facts: str) -> None:
    """Something has happened within the current span. Facts have names of ours, and no secret among them."""
    span = get_current_span()
    if span.is_recording():
        span.add_event(what, {f"chandlery.{name}": fact for name, fact in facts.items()})


class current:  # noqa: N801 - read as `with current(span)`
    """Makes a span the current one, and ends it. What is raised meanwhile fails it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        """The span itself."""
        self._token: Token[Context] = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Goes back to the span around it."""
        detach(self._token)
        if kind is not None:
            fail(self._span, kind.__name__)
        if self._span.is_recording():
            # Whoever knew its end better has ended it.
            self._span.end()
