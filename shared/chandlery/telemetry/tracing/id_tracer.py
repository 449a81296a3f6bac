"""A tracer that gives every span its ids and records nothing: what there is without the SDK, or when it is not wanted.

With the ids alone, log lines, events and requests to service brokers of one trace are found by each other. It costs a
microsecond for each span.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Tracer, get_current_span
from opentelemetry.util.types import Attributes

from chandlery.telemetry.tracing.spans import current

_RANDOM: Final = Random()  # noqa: S311 - ids tell apart, they keep no secret
"""Of its own: a test that seeds the one of everybody must not get the same ids again."""


class IdTracer(Tracer):
    """Continues a trace with the flags that it came with, or begins one that is not sampled."""

    def start_span(  # noqa: PLR0913, PLR0917 - the library's signature
        self,
        name: str,  # noqa: ARG002
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,  # noqa: ARG002
        attributes: Attributes = None,  # noqa: ARG002
        links: Sequence[Link] | None = (),  # noqa: ARG002
        start_time: int | None = None,  # noqa: ARG002
        record_exception: bool = True,  # noqa: ARG002
        set_status_on_exception: bool = True,  # noqa: ARG002
    ) -> Span:
        """See Tracer."""
        parent = get_current_span(context).get_span_context()
        span_id = _RANDOM.getrandbits(64) or 1
        if parent.is_valid:
            return NonRecordingSpan(SpanContext(parent.trace_id, span_id, is_remote=False, trace_flags=parent[3]))
        return NonRecordingSpan(SpanContext(_RANDOM.getrandbits(128) or 1, span_id, is_remote=False))

    @contextmanager
    def start_as_current_span(self, name: str, *given: Any, **named: Any) -> Iterator[Span]:  # type: ignore[override]
        """See Tracer."""
        with current(self.start_span(name, *given, **named)) as span:
            yield span
