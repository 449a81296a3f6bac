"""A collector of the tests' own on loopback: takes OTLP over HTTP and keeps the spans."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.support.waiting import wait_for

_PATH: Final = "/v1/traces"


@dataclass(frozen=True)
class ReceivedSpan:
    """As it came; ids in hexadecimal digits."""

    service: str
    """What the process calls itself."""
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Ids of spans."""
    events: tuple[str, ...]
    attributes: dict[str, Any]
    start: int
    has_failed: bool


@dataclass
class TraceReceiver:
    """What has arrived so far."""

    url: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    """What exporters are answered."""

    def of(self, trace_id: str, name: str = "") -> list[ReceivedSpan]:
        """The spans of a trace whose names begin so, by the time at which they began."""
        found = [span for span in list(self.spans) if span.trace_id == trace_id and span.name.startswith(name)]
        return sorted(found, key=lambda span: span.start)

    def until(self, trace_id: str, name: str, count: int = 1, *, event: str = "") -> list[ReceivedSpan]:
        """As soon as so many of a name have arrived, and, if an event is named, the one that has it as the last."""
        return wait_for(
            lambda: self.of(trace_id, name),
            lambda found: len(found) >= count and (not event or event in found[-1].events),
            what=f"{count} of {name} {event}",
        )

    def above(self, span: ReceivedSpan, *, client: str = "") -> list[tuple[str, str]]:
        """Service and name from the span up to the one below the client's; each process sends in its own time."""
        chain = wait_for(
            lambda: self._chain(span), lambda found: found[-1].parent_id == client, what=f"all spans above {span.name}"
        )
        return [(each.service, each.name) for each in chain]

    def _chain(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        by_id = {each.span_id: each for each in list(self.spans)}
        chain = [span]
        while (parent := by_id.get(chain[-1].parent_id)) is not None:
            chain.append(parent)
        return chain

    def log_tails(self) -> dict[str, str]:
        """For a test that fails."""
        return {"spans received": "\n".join(f"{each.trace_id} {each.service} {each.name}" for each in self.spans[-60:])}

    def take(self, payload: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(payload)
        for of_process in request.resource_spans:
            service = next(
                (each.value.string_value for each in of_process.resource.attributes if each.key == "service.name"), ""
            )
            for scope in of_process.scope_spans:
                self.spans.extend(_read(service, span) for span in scope.spans)


def _read(service: str, span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        events=tuple(event.name for event in span.events),
        attributes={each.key: _value(each.value) for each in span.attributes},
        start=span.start_time_unix_nano,
        has_failed=span.status.code == span.status.STATUS_CODE_ERROR,
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@contextmanager
def trace_receiver() -> Iterator[TraceReceiver]:
    """Take what comes until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                payload = gzip.decompress(payload)
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path == _PATH and received.status == 200:
                received.take(payload)
            self.send_response(received.status if self.path == _PATH else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = TraceReceiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
