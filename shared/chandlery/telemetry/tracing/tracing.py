"""The seam for traces: a tracer of OpenTelemetry's API, and how traces come in with requests and go out with calls.

Comes in: headers of requests; nothing else of the environment.
Goes out: spans, to wherever the tracer brings them; headers for service brokers.
Called by: the request pipeline, both buses, the reconcile loop and the OSB client.

Whether spans are recorded is decided once for each process (`sdk_tracing.py`) and makes no difference here: without
the SDK, and for traces that are not sampled, spans have ids and nothing else. Whoever sets attributes asks
`is_recording` before.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Link, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chandlery.telemetry.tracing.id_tracer import IdTracer
from chandlery.telemetry.tracing.traceparent import ROOT

_LONGEST: Final = 1_024
"""Characters of what a client sends of one header. W3C asks for 512."""
_TRACEPARENT: Final = "traceparent"


@dataclass(frozen=True)
class Tracing:
    """What one process traces with. Tests hand over another."""

    tracer: Tracer = field(default_factory=IdTracer)
    propagator: TextMapPropagator = field(default_factory=TraceContextTextMapPropagator)
    """Reads headers of requests, and writes those of calls."""
    continues_clients: bool = True
    """Whether a request is part of its client's trace. Else it begins one of its own, which links to that."""
    goes_on: bool = True
    """Whether service brokers are told in which trace they are called."""
    _fields: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Headers have names in lower case here."""
        object.__setattr__(self, "_fields", frozenset(name.lower().encode() for name in self.propagator.fields))

    def serve(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Context, Sequence[Link]]:
        """Below what the span of a request is, and to what it links."""
        came = self.come_with(headers)
        if self.continues_clients:
            return came, ()
        client = get_current_span(came).get_span_context()
        return ROOT, (Link(client),) if client.is_valid else ()

    def come_with(self, headers: Iterable[tuple[bytes, bytes]]) -> Context:
        """The trace that a request comes with. What is malformed, or longer than it may be, counts as none."""
        carrier: dict[str, list[str]] = {}
        for name, value in headers:
            if name in self._fields:
                carrier.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        if not carrier or len(carrier.get(_TRACEPARENT, ())) > 1:
            return ROOT
        if any(sum(map(len, values)) > _LONGEST for values in carrier.values()):
            return ROOT
        return self.propagator.extract(carrier, context=ROOT)

    def go_out(self, headers: MutableMapping[str, str]) -> None:
        """Add what continues the current trace at a service broker."""
        if self.goes_on:
            self.propagator.inject(headers)


IDS_ONLY: Final = Tracing()
"""Nothing is recorded."""
