"""ASGI middleware around everything that answers: one span for each request, current while it is served.

Comes in: requests, some with `traceparent` and `tracestate` of a client that traces, too (W3C Trace Context).
Goes out: a server span by OpenTelemetry's conventions for HTTP. What the request writes, logs and records has its ids.
Called by: `app.py`, which puts it around the request log and around what answers an unexpected exception.

Of a watch it ends with the beginning of the answer: how long somebody watches tells nothing. Attributes have neither
the query nor a path that has no route, which may hold whatever somebody has typed or pasted.
"""

from typing import Final

from opentelemetry.trace import Span, SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chandlery.process.http.probes import PROBE_PATHS
from chandlery.telemetry.tracing.spans import current, fail
from chandlery.telemetry.tracing.tracing import Tracing
from chandlery_gateway.http.request_classes import RequestClass, demand_of

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"
"""The conventions' word for a method that nobody knows."""
_FAILURES: Final = 500


class RequestTraces:
    """Traces requests. One that is not recorded costs some microseconds."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request in a span of its own; probes have none."""
        if scope["type"] != "http" or scope["path"].startswith(PROBE_PATHS):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        parent, links = self._tracing.serve(scope["headers"])
        span = self._tracing.tracer.start_span(method, context=parent, kind=SpanKind.SERVER, links=links)
        with current(span):
            if not span.is_recording():
                await self._app(scope, receive, send)
                return
            await self._recorded(scope, receive, send, span=span, method=method)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send, *, span: Span, method: str) -> None:
        demand = demand_of(scope["method"], scope["path"], scope["query_string"], scope["headers"])

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(span, scope, method, status=message["status"])
                if demand.request_class is RequestClass.WATCH:
                    span.end()
            await send(message)

        await self._app(scope, receive, noting)


def _note(span: Span, scope: Scope, method: str, *, status: int) -> None:
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("url.scheme", scope["scheme"])
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("url.path", scope["path"])
    if status >= _FAILURES:
        fail(span, str(status))
