"""Spans of what goes over the bus, by OpenTelemetry's conventions for messaging: one sends a command, one processes it.

Comes in: commands, each with the span that made its object due; what a delivery bears of its trace.
Goes out: the trace that travels beside the message, and the span within which a handler runs.
Called by: both buses.

Events have none: they wake whoever watches, and nothing is done on their account.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import Span, SpanKind

from chandlery.contracts.messages import Message, Reconcile
from chandlery.contracts.topology import WORK_QUEUES, route
from chandlery.messaging.handling import NO_SPAN
from chandlery.telemetry.tracing.spans import current, fail
from chandlery.telemetry.tracing.traceparent import below, span_context_of, traceparent_of
from chandlery.telemetry.tracing.tracing import Tracing


class MessageTraces:
    """Of one bus."""

    def __init__(self, tracing: Tracing, *, system: str) -> None:
        """`system` is the bus by its name in the conventions."""
        self._tracer = tracing.tracer
        self._system = system

    @contextmanager
    def sending(self, messages: Sequence[Message]) -> Iterator[Sequence[tuple[Message, str]]]:
        """Each message with its trace, and a span for each command, until the bus has confirmed all of them."""
        spans: list[Span] = []
        try:
            yield [(message, self._sent(message, spans)) for message in messages]
        except BaseException as error:
            for span in spans:
                fail(span, type(error).__name__)
            raise
        finally:
            for span in spans:
                span.end()

    def processing(self, message: Message, trace: str, *, queue: str) -> AbstractContextManager[object]:
        """The span of a command that was delivered from this queue; none around an event."""
        if not isinstance(message, Reconcile):
            return NO_SPAN
        span = self._started("process", message, trace, SpanKind.CONSUMER)
        if span.is_recording():
            span.set_attribute("messaging.destination.name", queue)
        return current(span)

    def _sent(self, message: Message, spans: list[Span]) -> str:
        if not isinstance(message, Reconcile):
            return ""
        span = self._started("send", message, message.traceparent, SpanKind.PRODUCER)
        if span.is_recording():
            way = route(message)
            span.set_attribute("messaging.destination.name", f"{way.exchange}:{way.routing_key}")
        spans.append(span)
        return traceparent_of(span.get_span_context()) or ""

    def _started(self, operation: str, message: Reconcile, trace: str | None, kind: SpanKind) -> Span:
        # By the worker kind and not by the lane: a name is for whatever is alike.
        name = f"{operation} {WORK_QUEUES.get(message.kind, message.kind)}"
        span = self._tracer.start_span(name, context=below(span_context_of(trace)), kind=kind)
        if span.is_recording():
            span.set_attribute("messaging.system", self._system)
            span.set_attribute("messaging.operation.name", operation)
            span.set_attribute("messaging.operation.type", operation)
            span.set_attribute("chandlery.kind", message.kind)
            span.set_attribute("chandlery.uid", message.uid)
        return span
