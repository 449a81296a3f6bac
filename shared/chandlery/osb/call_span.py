"""The span of one call to a service broker, by OpenTelemetry's conventions for HTTP, and what the broker sees of it.

Comes in: the call, and what came of it.
Goes out: a client span; the request identity of OSB, which is the span's id in a readable form.
Called by: the OSB client, which sends it.

One span for each call, however often the transport connects for it. It has neither the query nor the ids in the path,
and nothing that a broker has said.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Span, SpanKind, Tracer

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.transport.http_call import HttpCall
from chandlery.reconcile.answers import Answer, Verb
from chandlery.telemetry.tracing.spans import fail

_INSTANCE: Final = "/v2/service_instances/{instance_id}"
_BINDING: Final = f"{_INSTANCE}/service_bindings/{{binding_id}}"
_TEMPLATES: Final[Mapping[Verb, str]] = {
    Verb.GET_CATALOG: "/v2/catalog",
    Verb.POLL_INSTANCE: f"{_INSTANCE}/last_operation",
    Verb.BIND: _BINDING,
    Verb.UNBIND: _BINDING,
    Verb.GET_BINDING: _BINDING,
    Verb.POLL_BINDING: f"{_BINDING}/last_operation",
}
_FAILURES: Final = 400


def started_call(tracer: Tracer, endpoint: BrokerEndpoint, call: HttpCall) -> Span:
    """The span, which continues the current one."""
    template = _TEMPLATES.get(call.verb, _INSTANCE)
    span = tracer.start_span(f"{call.method} {template}", kind=SpanKind.CLIENT)
    if span.is_recording():
        host, _, port = endpoint.place.rpartition(":")
        span.set_attribute("http.request.method", call.method)
        span.set_attribute("url.template", template)
        span.set_attribute("chandlery.operation", str(call.verb))
        if host:
            span.set_attribute("server.address", host)
            span.set_attribute("server.port", int(port))
    return span


def request_identity_of(span: Span) -> str:
    """`<trace id>-<span id>`: no other call has it, and whoever reads it finds the trace."""
    context = span.get_span_context()
    return f"{context.trace_id:032x}-{context.span_id:016x}"


def note_answer(span: Span, answer: Answer) -> None:
    """What came of it, in words of ours."""
    if not span.is_recording():
        return
    span.set_attribute("chandlery.verdict", str(answer.verdict))
    if answer.status is not None:
        span.set_attribute("http.response.status_code", answer.status)
    if answer.status is None or answer.status >= _FAILURES:
        fail(span, str(answer.status or answer.verdict))
